import { setTimeout as delay } from 'node:timers/promises';
import { type Host, type HostReport, isPluginError, type OperationCall, PluginError, type RolloutRequest } from '@pipit/core';
import type { HostInstall } from '@pipit/plugin-kit';
import { GIVEN_UP, type GivenUp, type HostMark } from './batch-handle.js';
import type { SshConfig } from './config.js';
import { type Choice, chooseArtifact, unservedReport } from './host-artifact.js';
import { launchOnHost, lookAtHost } from './host-calls.js';
import { givenUpReport, outcomeReport } from './host-report.js';
import type { SshClient } from './ssh-client.js';

/** How often an install is taken up again whose process was killed from outside (a restart of the host). The host script finishes what it began. */
const MAX_TRIES = 5;
/** Between two tries of a host that does not answer, while a batch is looked at. */
const ASK_AGAIN_MS = 1_000;

export interface AdvanceContext {
  readonly client: SshClient;
  readonly config: Pick<SshConfig, 'tries' | 'connectTimeout' | 'cutOffAfter' | 'installLimit'>;
  readonly request: RolloutRequest<unknown>;
  readonly key: string;
  /** When the batch began. */
  readonly since: number;
  /** Until when a host that is still at work is waited for. */
  readonly holdUntil: number;
  readonly op: OperationCall;
}

export interface HostStep {
  readonly mark: HostMark;
  readonly report?: HostReport;
  /** It was told, and does not answer now: since when. */
  readonly cutSince?: number;
}

/** The letter of a host that is given up for this error, where there is one. */
const letterOf = (code: string): GivenUp | undefined => {
  const letters = Object.keys(GIVEN_UP) as readonly GivenUp[]; // the keys of a literal
  return letters.find((letter) => GIVEN_UP[letter] === code);
};

const givenUp = (host: Host, mark: GivenUp): HostStep => ({ mark, report: givenUpReport(host, mark) });

const installOf = ({ config, request, key, op }: AdvanceContext, host: Host, { artifact, source }: Choice): HostInstall => ({
  app: request.ring.app,
  key,
  sequence: request.sequence,
  artifact,
  source,
  restart: request.services,
  ...(request.takeOver === undefined ? {} : { takeOver: request.takeOver }),
  limitSeconds: Math.ceil(config.installLimit / 1000),
  now: op.clock.now(),
  ...('size' in artifact.content ? { size: artifact.content.size } : {}),
  ...(request.check === undefined ? {} : { check: { check: request.check, address: host.address } }),
});

/** Starts the install on a host, which says whether it can. */
const launch = async (context: AdvanceContext, host: Host, choice: Choice): Promise<HostStep> => {
  const { client, op } = context;
  const launched = await launchOnHost(client, host, installOf(context, host, choice), 1, op);
  if (launched.state === 'full') return givenUp(host, 'f');
  if (launched.state !== 'refused') return { mark: 's' };
  op.logger.warn({ host: host.id, said: launched.said }, "The host's systemd did not start an install");
  return givenUp(host, 'm');
};

/** Tells a host what to install. It stays `q` while it cannot be reached, up to a limit. */
const tell = async (context: AdvanceContext, host: Host, choice: Choice): Promise<HostStep> => {
  const { config, op, since } = context;
  try {
    return await launch(context, host, choice);
  } catch (thrown) {
    // A source or check that no host could be told of is the request's fault, and not this host's.
    if (op.signal.aborted || !isPluginError(thrown)) throw thrown;
    const letter = letterOf(thrown.code);
    if (thrown.recovery === 'stop' && letter === undefined) throw thrown;
    op.logger.info({ host: host.id, code: thrown.code, error: thrown.message }, 'Host could not be told to install');
    const isOver = op.clock.now().getTime() - since >= config.tries * config.connectTimeout;
    if (thrown.recovery !== 'stop' && !isOver) return { mark: 'q' };
    return givenUp(host, letter ?? 'u');
  }
};

const lookFurther = async (context: AdvanceContext, host: Host, choice: Choice, cutSince: number | undefined): Promise<HostStep> => {
  const { client, config, op, request, key, holdUntil } = context;
  const now = op.clock.now().getTime();
  const waitSeconds = Math.max(0, Math.floor((holdUntil - now) / 1000));
  try {
    const look = await lookAtHost(
      client,
      host,
      { packages: [choice.artifact.name], format: choice.source.format, attempt: { key, waitSeconds }, tries: 1 },
      op,
    );
    const { attempt } = look;
    if (attempt?.state === 'ended') return { mark: 's', report: outcomeReport(host, attempt.outcome, look.log, request.check) };
    if (attempt?.state === 'running') return { mark: 's' };
    // Killed there, or the host was made anew: the script goes on where it was, or begins.
    if ((attempt?.tries ?? 0) >= MAX_TRIES) return givenUp(host, 't');
    return await launch(context, host, choice);
  } catch (thrown) {
    if (op.signal.aborted || !isPluginError(thrown)) throw thrown;
    op.logger.info({ host: host.id, code: thrown.code, error: thrown.message }, 'Host does not answer in the middle of an install');
    const begun = cutSince ?? now;
    if (op.clock.now().getTime() - begun >= config.cutOffAfter) return givenUp(host, 'x');
    return { mark: 's', cutSince: begun };
  }
};

/** Tells a host that was not told, without waiting for its end. */
export const tellHost = async (context: AdvanceContext, host: Host): Promise<HostStep> => {
  const choice = chooseArtifact(host, context.request);
  // What no package was made for needs no telling: it is reported when the batch is looked at.
  return choice === undefined ? { mark: 's' } : tell(context, host, choice);
};

/** Brings one host further, and waits for its end as long as the call allows. Repeating it is harmless. */
export const advanceHost = async (context: AdvanceContext, host: Host, from: Omit<HostStep, 'report'>): Promise<HostStep> => {
  const { op, holdUntil, request } = context;
  const choice = chooseArtifact(host, request);
  if (choice === undefined) return { mark: 's', report: unservedReport(host, request) };
  let step: HostStep = from;
  for (;;) {
    if (op.signal.aborted)
      throw new PluginError({
        code: 'COMMAND_ABORTED',
        message: 'Looking at a batch was cancelled',
        recovery: 'reconcile',
        cause: op.signal.reason,
      });
    if (step.mark === 'q') step = await tell(context, host, choice);
    else if (step.mark === 's') step = await lookFurther(context, host, choice, step.cutSince);
    else return givenUp(host, step.mark);
    if (step.report !== undefined || op.clock.now().getTime() >= holdUntil) return step;
    if (step.mark === 'q' || step.cutSince !== undefined)
      await delay(ASK_AGAIN_MS * (0.5 + op.random()), undefined, { signal: op.signal }).catch(() => undefined);
  }
};
