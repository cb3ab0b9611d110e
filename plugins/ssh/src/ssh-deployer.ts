import {
  type Deployer,
  type Host,
  type HostReport,
  isPluginError,
  type ObserveRequest,
  type OperationCall,
  type RolloutRequest,
} from '@pipit/core';
import pLimit from 'p-limit';
import { type AdvanceContext, advanceHost, type HostStep, tellHost } from './advance-host.js';
import { type Batch, type HostMark, readHandle, writeHandle } from './batch-handle.js';
import type { SshConfig } from './config.js';
import { isSpokenWith } from './connection-failure.js';
import { checkSources, chooseArtifact, formatOf } from './host-artifact.js';
import { lookAtHost, reportedError } from './host-calls.js';
import { observedReport } from './host-report.js';
import type { SshClient } from './ssh-client.js';

/** How long `inspect` holds at most, so that what ended is reported soon although others are at work. */
const HOLD_MS = 10_000;
/** `inspect` and `observe` answer this long before the call's deadline. */
const ANSWER_BEFORE_MS = 3_000;
/** A host that `find` could not reach is not tried by `start` at once again: `inspect` does. */
const RECENTLY_MS = 20_000;
/** Batches that nobody follows any more are forgotten. */
const REMEMBERED_BATCHES = 100;

export interface SshDeployerOptions {
  readonly client: SshClient;
  readonly config: Pick<SshConfig, 'tries' | 'connectTimeout' | 'cutOffAfter' | 'installLimit' | 'parallel'>;
}

/**
 * Installs over ssh: one script a host, shipped and started detached in one command, looked at in one more. A handle holds the batch's key and
 * which hosts were told; all else is read from the hosts, so that it works in a fresh instance on another machine.
 *
 * Errors: `HOST_SOURCE_MISSING`, `HOST_SOURCE_UNSIGNED`, `HOST_SCRIPT_VALUE_INVALID` (stop). What goes wrong on one host is in its report, and
 * stops no other.
 */
export const createSshDeployer = <Options>({ client, config }: SshDeployerOptions): Deployer<Options> => {
  const unreached = new Map<string, number>();
  /** How hosts ended, of each batch that has not: none is asked again. A fresh instance asks them all once. */
  const endedOf = new Map<string, Map<string, HostReport>>();

  const contextOf = (
    request: RolloutRequest<Options>,
    op: OperationCall,
    batch: Pick<Batch, 'key' | 'since'>,
    holdMs: number,
  ): AdvanceContext => {
    const until = Math.min(op.clock.now().getTime() + holdMs, op.deadline.getTime() - ANSWER_BEFORE_MS);
    return { client, config, request, key: batch.key, since: batch.since, holdUntil: until, op };
  };

  const eachHost = <T>(hosts: readonly Host[], work: (host: Host, index: number) => Promise<T>): Promise<readonly T[]> => {
    const limit = pLimit(config.parallel);
    return Promise.all(hosts.map((host, index) => limit(() => work(host, index))));
  };

  const observeHost = async (host: Host, request: ObserveRequest<Options>, op: OperationCall): Promise<HostReport> => {
    const leftMs = op.deadline.getTime() - op.clock.now().getTime() - ANSWER_BEFORE_MS;
    const signal = AbortSignal.any([op.signal, AbortSignal.timeout(Math.max(leftMs, 0))]);
    const check = request.check === undefined ? {} : { check: { check: request.check, address: host.address } };
    try {
      const look = await lookAtHost(
        client,
        host,
        { packages: request.packages, format: 'any', tries: Math.min(config.tries, 2), ...check },
        { ...op, signal },
      );
      return observedReport(host, look);
    } catch (thrown) {
      if (op.signal.aborted || !isPluginError(thrown)) throw thrown;
      return { hostId: host.id, reachable: isSpokenWith(thrown.code), error: reportedError(thrown) };
    }
  };

  return {
    formats: ['deb', 'rpm'],

    async find(request, op) {
      const traces = await eachHost(request.hosts, async (host): Promise<HostMark> => {
        const choice = chooseArtifact(host, request);
        if (choice === undefined) return 'q';
        try {
          const attempt = { key: op.key, waitSeconds: 0 };
          const look = await lookAtHost(
            client,
            host,
            { packages: [choice.artifact.name], format: formatOf(choice), attempt, tries: 1 },
            op,
          );
          return look.attempt === undefined || look.attempt.state === 'none' ? 'q' : 's';
        } catch (thrown) {
          if (op.signal.aborted || !isPluginError(thrown)) throw thrown;
          unreached.set(host.id, op.clock.now().getTime());
          return 'q';
        }
      });
      if (!traces.includes('s')) return undefined;
      return writeHandle({ key: op.key, since: op.clock.now().getTime(), marks: traces, cut: {} });
    },

    async start(request, op) {
      op.signal.throwIfAborted();
      checkSources(request);
      const since = op.clock.now().getTime();
      const context = contextOf(request, op, { key: op.key, since }, 0);
      const marks = await eachHost(request.hosts, async (host) => {
        const failedAt = unreached.get(host.id);
        unreached.delete(host.id);
        if (failedAt !== undefined && since - failedAt < RECENTLY_MS) return 'q';
        return (await tellHost(context, host)).mark;
      });
      return writeHandle({ key: op.key, since, marks, cut: {} });
    },

    async inspect({ handle, request }, op) {
      const { hosts } = request;
      const batch = readHandle(handle, hosts.length);
      if (batch === undefined) return { state: 'lost', reason: 'the handle is none that this plugin gave for these hosts' };
      // Where more hosts are to be asked than are asked at once, none may hold the others up.
      const context = contextOf(request, op, batch, hosts.length > config.parallel ? 0 : HOLD_MS);
      const ended = endedOf.get(batch.key) ?? new Map<string, HostReport>();
      endedOf.set(batch.key, ended);
      const [oldest] = endedOf.keys();
      if (endedOf.size > REMEMBERED_BATCHES && oldest !== undefined) endedOf.delete(oldest);
      const steps: readonly HostStep[] = await eachHost(hosts, async (host, index) => {
        const mark = batch.marks[index] ?? 'q';
        const known = ended.get(host.id);
        if (known !== undefined) return { mark, report: known };
        const cutSince = batch.cut[String(index)];
        const step = await advanceHost(context, host, { mark, ...(cutSince === undefined ? {} : { cutSince }) });
        if (step.report !== undefined && step.mark === 's') ended.set(host.id, step.report);
        return step;
      });
      const marks = steps.map((step) => step.mark);
      const cut = Object.fromEntries(steps.flatMap(({ cutSince }, index) => (cutSince === undefined ? [] : [[String(index), cutSince]])));
      const reports = steps.flatMap(({ report }) => (report === undefined ? [] : [report]));
      const isRemembered = marks.every((mark, index) => mark === batch.marks[index]);
      // A host that was given up stands in the handle before the batch ends by it: asked again it is the same end.
      if (isRemembered && reports.length === hosts.length) {
        endedOf.delete(batch.key);
        return { state: 'ended', result: reports };
      }
      op.report({
        message: `${reports.length} of ${hosts.length} hosts ended`,
        fraction: hosts.length === 0 ? 1 : reports.length / hosts.length,
      });
      return { state: 'running', partial: reports, handle: writeHandle({ ...batch, marks, cut }) };
    },

    observe: (request, op) => eachHost(request.hosts, (host) => observeHost(host, request, op)),
  };
};
