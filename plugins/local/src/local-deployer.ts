import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Call,
  type Deployer,
  type HealthCheck,
  type HealthFinding,
  type Host,
  type HostReport,
  isPluginError,
  type Logger,
  type ObserveRequest,
  type OperationCall,
  type RolloutRequest,
  type Sandbox,
} from '@pipit/core';
import { findProgram, minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { withFolderLock } from './folder-lock.js';
import { type HealthAnswer, tryHealth } from './local-deployer-health.js';
import { advanceHost, debSource, type HostProgress, type HostTask } from './local-deployer-install.js';
import { hostRoot, isDown, openHostFile, readInstalled, readNewestInstallLog } from './local-deployer-root.js';
import { readServiceLogs, reviveServices, servicesOfApp } from './service-supervisor.js';
import { shortLog } from './short-log.js';
import { writeWhole } from './write-whole.js';

export interface LocalDeployerOptions {
  /** The instance's private folder (`Setup.folder`). Hosts are `<folder>/hosts/<id>`, services' logs `<folder>/services/<id>/<service>/log`. */
  readonly folder: string;
  readonly sandbox: Sandbox;
  readonly logger: Logger;
  /** Config field `parallel`: installs at the same time. Default 8. */
  readonly parallel?: number;
  /** Config field `installLimit`. Default: 10 minutes. */
  readonly installLimitMs?: number;
  /** How long another install on a host is waited for. Default: what an install may take, and a minute. */
  readonly lockWaitSeconds?: number;
}

/** How often a running batch is looked at while `inspect` holds. */
const POLL_MS = 100;
/** `inspect` answers this long before the call's deadline. */
const ANSWER_BEFORE_MS = 250;
/** Records of ended batches that stay, to look at. */
const KEPT_TASKS = 100;

/**
 * Installs on hosts that are dpkg roots in folders of this machine, by real apt-get with the host script, inside the sandbox. Each install is
 * a process of its own that outlives pipit; a handle is the hash of the operation's key, so one key is one batch. At most `parallel` installs
 * run at once: a batch that is larger goes on when it is looked at (`inspect`). Services are supervised processes, found again after a restart.
 *
 * Errors: `HOST_ID_INVALID`, `HOST_SOURCE_MISSING`, `HOST_SOURCE_UNSIGNED`, `HOST_SCRIPT_VALUE_INVALID` (stop), `LOCAL_LOCK_TIMEOUT` (retry).
 * What goes wrong on one host is in its report: see docs/reference/errors/plugin-local-hosts.md.
 */
export const createLocalDeployer = <Options>(
  options: LocalDeployerOptions,
): Deployer<Options> & { checkHealth(call: Call): Promise<readonly HealthFinding[]> } => {
  const { folder, sandbox, logger, parallel = 8, installLimitMs, lockWaitSeconds } = options;
  const tasks = join(folder, 'tasks');
  const taskFolder = (handle: string): string => join(tasks, handle);
  /** Holds the key; a batch without it was never begun. */
  const startedFile = (handle: string): string => join(taskFolder(handle), 'started');
  const handleOf = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 32);

  /** Brings every host of the batch further; in the request's order. */
  const advance = async (handle: string, request: RolloutRequest<Options>, op: OperationCall): Promise<readonly HostProgress[]> =>
    withFolderLock({ path: `${taskFolder(handle)}.lock`, signal: op.signal }, async () => {
      const source = debSource(request.sources);
      const key = await readFile(startedFile(handle), 'utf8');
      const taskOf = (host: Host): HostTask => ({
        folder,
        taskFolder: join(taskFolder(handle), 'hosts', host.id),
        key,
        handle,
        host,
        request,
        source,
        sandbox,
        clock: op.clock,
        signal: op.signal,
        ...(installLimitMs === undefined ? {} : { installLimitMs }),
        ...(lockWaitSeconds === undefined ? {} : { lockWaitSeconds }),
      });
      // First all are only looked at, which also counts the installs under way; then as many are started as the limit leaves.
      const looked = await Promise.all(request.hosts.map((host) => advanceOne(taskOf(host), false)));
      let free = parallel - looked.filter(({ phase }) => phase === 'installing').length;
      const progress = [...looked];
      for (const [index, host] of request.hosts.entries()) {
        if (progress[index]?.phase !== 'waiting' || free <= 0) continue;
        progress[index] = await advanceOne(taskOf(host), true);
        free -= 1;
      }
      return progress;
    });

  const advanceOne = async (task: HostTask, mayStart: boolean): Promise<HostProgress> => {
    await mkdir(task.taskFolder, { recursive: true, mode: 0o700 });
    const wasEnded = existsSync(join(task.taskFolder, 'report.json'));
    const progress = await advanceHost(task, mayStart);
    if (progress.phase === 'ended' && !wasEnded)
      logger.info({ report: progress.report, ring: task.request.ring }, 'Host ended its install');
    return progress;
  };

  const dropOldTasks = async (): Promise<void> => {
    const names = (await readdir(tasks)).filter((name) => existsSync(join(tasks, name, 'ended')));
    const aged = await Promise.all(names.map(async (name) => ({ name, at: (await stat(join(tasks, name))).mtimeMs })));
    aged.sort((one, other) => other.at - one.at);
    for (const { name } of aged.slice(KEPT_TASKS)) await rm(join(tasks, name), { recursive: true, force: true });
  };

  const isBusy = async (root: string, signal: AbortSignal): Promise<boolean> => {
    // By what is open: at its path may stand a pipe by now, which flock would wait for.
    const lock = await openHostFile(root, join(root, 'var/lib/pipit/lock'));
    if (lock === undefined) return false;
    try {
      const argv = ['flock', '--nonblock', '--shared', `/proc/${process.pid}/fd/${lock.fd}`, 'true'];
      return (await runCommand(argv, { cwd: '/', env: minimalEnvironment('/'), signal })).exitCode !== 0;
    } finally {
      await lock.close();
    }
  };

  /** What ran here before the machine was restarted; a unit that cannot be run is this host's trouble, not the fleet's. */
  const revive = async (host: Host, request: ObserveRequest<Options>, op: OperationCall) => {
    try {
      const revived = await reviveServices({ folder, host, app: request.ring.app, sandbox, signal: op.signal });
      if (revived.length > 0) logger.info({ host: host.id, services: revived }, 'Services were gone and are started again');
      return { isRevived: revived.length > 0 };
    } catch (thrown) {
      if (!isPluginError(thrown) || thrown.recovery !== 'stop') throw thrown;
      return { isRevived: false, failure: thrown };
    }
  };

  /** One try; several within the check's time for a host whose services have just been started again. */
  const checkHost = async (host: Host, check: HealthCheck, isRevived: boolean, op: OperationCall): Promise<HealthAnswer> => {
    const begun = op.clock.now().getTime();
    const until = isRevived ? Math.min(begun + check.withinMs, op.deadline.getTime() - ANSWER_BEFORE_MS) : begun;
    for (;;) {
      const answer = await tryHealth({ folder, host, check, sandbox, signal: op.signal });
      if (answer === undefined || op.signal.aborted || op.clock.now().getTime() >= until) return answer;
      await delay(POLL_MS, undefined, { signal: op.signal }).catch(() => undefined);
    }
  };

  const observeHost = async (host: Host, request: ObserveRequest<Options>, op: OperationCall): Promise<HostReport> => {
    const root = hostRoot(folder, host.id);
    if (await isDown(root)) return { hostId: host.id, reachable: false };
    const { signal } = op;
    const { check, packages, ring } = request;
    const { isRevived, failure } = await revive(host, request, op);
    const states = existsSync(join(root, 'var/lib/dpkg/status'))
      ? await Promise.all(packages.map(async (name) => ({ name, ...(await readInstalled(host, root, name, signal)) })))
      : [];
    const installed = states.find((state) => state.installed !== undefined)?.installed;
    const foreign = states.find((state) => state.foreign !== undefined)?.foreign;
    const busy = await isBusy(root, signal);
    const broken = busy ? undefined : states.find((state) => state.broken !== undefined);
    const unhealthy = check === undefined ? undefined : await checkHost(host, check, isRevived, op);
    const whatFailed = async (): Promise<Pick<HostReport, 'error' | 'raw'>> => {
      if (broken?.broken !== undefined) {
        const hint = 'Roll the ring to a release that installs: the host script finishes what was left.';
        const raw = shortLog(await readNewestInstallLog(root, broken.name));
        return { raw, error: { code: 'HOST_PACKAGE_BROKEN', message: broken.broken, hint } };
      }
      if (failure !== undefined) {
        const { code, message, hint } = failure;
        return { error: { code, message, ...(hint === undefined ? {} : { hint }) } };
      }
      if (unhealthy === undefined) return {};
      const raw = await readServiceLogs(folder, host.id, await servicesOfApp(folder, host.id, ring.app));
      return { raw, error: { code: 'HOST_UNHEALTHY', message: `${host.id}: ${unhealthy}` } };
    };
    const { error, raw = '' } = await whatFailed();
    return {
      hostId: host.id,
      reachable: true,
      ...(busy ? { busy } : {}),
      ...(check === undefined ? {} : { healthy: unhealthy === undefined }),
      ...(installed === undefined ? {} : { installed }),
      ...(foreign === undefined ? {} : { foreign }),
      ...(error === undefined ? {} : { error }),
      ...(raw === '' ? {} : { raw }),
    };
  };

  return {
    formats: ['deb'],

    async find(_request, op) {
      const handle = handleOf(op.key);
      return existsSync(startedFile(handle)) ? handle : undefined;
    },

    async start(request, op) {
      op.signal.throwIfAborted();
      debSource(request.sources);
      for (const host of request.hosts) hostRoot(folder, host.id);
      const handle = handleOf(op.key);
      await mkdir(join(taskFolder(handle), 'hosts'), { recursive: true, mode: 0o700 });
      await writeWhole(startedFile(handle), op.key);
      await dropOldTasks();
      await advance(handle, request, op);
      return handle;
    },

    async inspect({ handle, request }, op) {
      if (!existsSync(startedFile(handle))) return { state: 'lost', reason: `there is no record of this batch in ${tasks}` };
      let before: number | undefined;
      for (;;) {
        const progress = await advance(handle, request, op);
        const reports = progress.flatMap((host) => (host.phase === 'ended' ? [host.report] : []));
        if (reports.length === progress.length) {
          await writeFile(join(taskFolder(handle), 'ended'), '', { mode: 0o600 });
          return { state: 'ended', result: reports };
        }
        const isLate = op.clock.now().getTime() > op.deadline.getTime() - ANSWER_BEFORE_MS;
        const isNews = before !== undefined && reports.length > before;
        before = reports.length;
        if (!isLate && !isNews) await delay(POLL_MS, undefined, { signal: op.signal }).catch(() => undefined);
        if (isLate || isNews || op.signal.aborted) {
          const waiting = progress.length - reports.length;
          op.report({
            message: `${reports.length} of ${progress.length} hosts ended, ${waiting} under way`,
            fraction: reports.length / progress.length,
          });
          return { state: 'running', partial: reports };
        }
      }
    },

    observe: (request, op) => Promise.all(request.hosts.map((host) => observeHost(host, request, op))),

    async checkHealth() {
      return [
        findProgram('apt-get', 'apt'),
        findProgram('dpkg', 'dpkg'),
        findProgram('dpkg-query', 'dpkg'),
        findProgram('flock', 'util-linux'),
        { name: 'sandbox', ok: true, detail: sandbox.mode },
      ];
    },
  };
};
