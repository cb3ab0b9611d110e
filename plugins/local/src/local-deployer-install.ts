import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Artifact,
  type Clock,
  type Host,
  type HostReport,
  type InstallSource,
  isPluginError,
  PluginError,
  type RolloutRequest,
  type Sandbox,
} from '@pipit/core';
import {
  brokenHostOutcome,
  HOST_SCRIPT,
  type HostInstall,
  hostScriptEnvironment,
  hostScriptPaths,
  inspectDetached,
  parseHostOutcome,
  readDetachedLog,
  startDetached,
} from '@pipit/plugin-kit';
import { tryHealth } from './local-deployer-health.js';
import { ensureRoot, hostRoot, isDown, readHostFile, readInstalled, readNewestInstallLog } from './local-deployer-root.js';
import { readServiceLogs, restartService, stopOtherServices } from './service-supervisor.js';
import { shortLog } from './short-log.js';
import { writeWhole } from './write-whole.js';

/** How often an install whose process was killed from outside (a restart of the machine) is taken up again. The host script finishes what it began. */
const MAX_TRIES = 5;

type DebSource = InstallSource & { readonly format: 'deb' };

export interface HostTask {
  /** The deployer's folder. */
  readonly folder: string;
  /** This host's folder in the task: its tries and its report. */
  readonly taskFolder: string;
  readonly key: string;
  /** The batch's: a rollout restarts a service once, however often its progress is asked for. */
  readonly handle: string;
  readonly host: Host;
  readonly request: RolloutRequest<unknown>;
  readonly source: DebSource;
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly installLimitMs?: number;
  readonly lockWaitSeconds?: number;
}

/** How far one host is. */
export type HostProgress =
  | { readonly phase: 'waiting' }
  | { readonly phase: 'installing' }
  /** Installed; its services start, or its health check has not passed yet. */
  | { readonly phase: 'checking' }
  | { readonly phase: 'ended'; readonly report: HostReport };

export const debSource = (sources: readonly InstallSource[]): DebSource => {
  const source = sources.find((candidate): candidate is DebSource => candidate.format === 'deb');
  if (source !== undefined) return source;
  throw new PluginError({
    code: 'HOST_SOURCE_MISSING',
    message: 'The repository gives no source of format deb, and local hosts install nothing else',
    hint: 'Use a repository that publishes Debian packages.',
    recovery: 'stop',
  });
};

const artifactFor = (host: Host, artifacts: readonly Artifact[]): Artifact | undefined => {
  const { architecture } = host.attributes;
  return artifacts.find(
    (artifact) =>
      artifact.format === 'deb' &&
      (artifact.architecture === 'all' || architecture === undefined || artifact.architecture === architecture),
  );
};

const installOf = (task: HostTask, artifact: Artifact, root: string): HostInstall => ({
  app: task.request.ring.app,
  key: task.key,
  sequence: task.request.sequence,
  artifact,
  source: task.source,
  root,
  ...(task.request.takeOver === undefined ? {} : { takeOver: task.request.takeOver }),
  ...(task.installLimitMs === undefined ? {} : { limitSeconds: Math.ceil(task.installLimitMs / 1000) }),
  ...(task.lockWaitSeconds === undefined ? {} : { lockWaitSeconds: task.lockWaitSeconds }),
  ...('size' in artifact.content ? { size: artifact.content.size } : {}),
});

/** The folders of this machine that a source names; the sandbox hides pipit's data, so what apt must read there is shown to it. */
const sourceFolders = ({ uris }: DebSource): readonly string[] =>
  uris.filter((uri) => uri.startsWith('file:')).map((uri) => decodeURI(uri.replace(/^file:\/*/, '/')));

/** A post-install script needs no network, and apt-get only for an address that is no folder. */
const networkFor = ({ uris }: DebSource): 'none' | 'full' => (uris.every((uri) => uri.startsWith('file:')) ? 'none' : 'full');

/** What the host script bounds itself, and a minute: another app's post-install script may have left a pipe where it or dpkg reads. */
const scriptLimitMs = ({ installLimitMs = 600_000, lockWaitSeconds }: HostTask): number =>
  installLimitMs + (lockWaitSeconds === undefined ? installLimitMs + 60_000 : lockWaitSeconds * 1000) + 60_000;

const startTry = async (task: HostTask, artifact: Artifact, root: string, number: number): Promise<void> => {
  await ensureRoot(root, task.sandbox);
  const command = task.sandbox.confine(['/bin/sh', '-c', HOST_SCRIPT, 'pipit-host'], {
    folder: root,
    mounts: sourceFolders(task.source).map((path) => ({ from: path, to: path })),
    network: networkFor(task.source),
    env: hostScriptEnvironment(installOf(task, artifact, root)),
  });
  await startDetached({
    folder: join(task.taskFolder, `try-${number}`),
    argv: command.argv,
    env: command.env,
    cwd: '/',
    timeLimitMs: scriptLimitMs(task),
  });
};

const countTries = async (taskFolder: string): Promise<number> =>
  (await readdir(taskFolder).catch(() => [])).filter((name) => name.startsWith('try-')).length;

const conclude = async (task: HostTask, report: Omit<HostReport, 'hostId'>): Promise<HostProgress> => {
  const whole: HostReport = { hostId: task.host.id, ...report };
  await writeWhole(join(task.taskFolder, 'report.json'), JSON.stringify(whole));
  return { phase: 'ended', report: whole };
};

const readReport = async (taskFolder: string): Promise<HostReport | undefined> => {
  const text = await readFile(join(taskFolder, 'report.json'), 'utf8').catch(() => undefined);
  // This plugin wrote it, whole, in a folder that nobody else may write to.
  return text === undefined ? undefined : (JSON.parse(text) as HostReport);
};

/** Services first, then the check: what the request asks for after the install. */
const checkInstalled = async (task: HostTask, artifact: Artifact, root: string): Promise<HostProgress> => {
  const { folder, host, request, sandbox, signal, handle } = task;
  const { app } = request.ring;
  const end = async (report: Pick<HostReport, 'healthy' | 'raw' | 'error'>): Promise<HostProgress> => {
    const { installed } = await readInstalled(host, root, artifact.name, signal);
    return conclude(task, { reachable: true, ...(installed === undefined ? {} : { installed }), ...report });
  };
  const sinceFile = join(task.taskFolder, 'checking-since');
  let since = await readFile(sinceFile, 'utf8').catch(() => undefined);
  if (since === undefined) {
    try {
      await stopOtherServices({ folder, host, app, wanted: request.services, signal });
      for (const service of request.services) await restartService({ folder, host, app, sandbox, signal, service, startId: handle });
    } catch (thrown) {
      if (!isPluginError(thrown) || thrown.recovery !== 'stop') throw thrown;
      const { code, message, hint } = thrown;
      const raw = shortLog(await readNewestInstallLog(root, artifact.name));
      return end({ healthy: false, raw, error: { code, message, ...(hint === undefined ? {} : { hint }) } });
    }
    since = task.clock.now().toISOString();
    await writeWhole(sinceFile, since);
  }
  const { check } = request;
  if (check === undefined) return end({});
  const unhealthy = await tryHealth({ folder, host, check, sandbox, signal });
  if (unhealthy === undefined) return end({ healthy: true });
  // A try that pipit's own stop cut off says nothing of the host.
  if (signal.aborted || task.clock.now().getTime() - new Date(since).getTime() < check.withinMs) return { phase: 'checking' };
  return end({ healthy: false, ...(await whyUnhealthy(task, artifact, unhealthy, check.withinMs)) });
};

const whyUnhealthy = async (
  { folder, host, request: { services } }: HostTask,
  artifact: Artifact,
  answer: string,
  withinMs: number,
): Promise<Pick<HostReport, 'raw' | 'error'>> => {
  const said = await readServiceLogs(folder, host.id, services);
  return {
    error: {
      code: 'HOST_UNHEALTHY',
      message: `${host.id} did not pass its health check within ${withinMs / 1000} s: ${answer}`,
      hint: "Look at the service's log below; the package is installed, so the host runs the new version.",
    },
    raw: said === '' ? shortLog(await readNewestInstallLog(hostRoot(folder, host.id), artifact.name)) : said,
  };
};

/**
 * Brings one host further, as far as it goes at once: reads how its install ended, starts services, tries the check. Repeating it is harmless.
 *
 * @param mayStart whether a new install may be started now: the batch's limit
 */
export const advanceHost = async (task: HostTask, mayStart: boolean): Promise<HostProgress> => {
  const { taskFolder, host, request, signal } = task;
  const ended = await readReport(taskFolder);
  if (ended !== undefined) return { phase: 'ended', report: ended };
  const root = hostRoot(task.folder, host.id);
  const tries = await countTries(taskFolder);
  if (tries === 0 && (await isDown(root)))
    return conclude(task, {
      reachable: false,
      error: {
        code: 'HOST_DOWN',
        message: `${host.id} is marked as down`,
        hint: `Remove ${join(root, 'down')} when it is back; it then converges.`,
      },
    });
  const artifact = artifactFor(host, request.release.artifacts);
  if (artifact === undefined)
    return conclude(task, {
      reachable: true,
      error: {
        code: 'HOST_ARCHITECTURE_UNSERVED',
        message: `${request.release.version} has no package for ${host.id} (${host.attributes.architecture ?? 'unknown architecture'})`,
        hint: 'Package it for that architecture too, and let a canary host of that architecture run it first.',
      },
    });
  const state = tries === 0 ? undefined : await inspectDetached(join(taskFolder, `try-${tries}`));
  if (state?.state === 'running') return { phase: 'installing' };
  if (state === undefined || (state.state === 'lost' && tries < MAX_TRIES)) {
    if (!mayStart) return { phase: 'waiting' };
    // A folder without a record is of a start that was cut off before anything ran.
    await startTry(task, artifact, root, state === undefined ? Math.max(tries, 1) : tries + 1);
    return { phase: 'installing' };
  }
  const paths = hostScriptPaths(installOf(task, artifact, root));
  const text = await readHostFile(root, paths.outcome);
  const outcome = text === undefined ? undefined : parseHostOutcome(text);
  if (outcome !== undefined && 'installed' in outcome) return checkInstalled(task, artifact, root);
  const { installed, foreign } = await readInstalled(host, root, artifact.name, signal);
  const scriptLog = (await readHostFile(root, paths.log)) ?? '';
  const { text: runnerLog } = await readDetachedLog(join(taskFolder, `try-${tries}`), undefined);
  const how = state.state === 'lost' ? state.reason : `it ended with ${state.exitCode}`;
  const error = outcome === undefined ? brokenHostOutcome(how) : outcome.error;
  return conclude(task, {
    reachable: true,
    ...(error.code === 'HOST_BUSY' ? { busy: true } : {}),
    ...(installed === undefined ? {} : { installed }),
    ...(foreign === undefined ? {} : { foreign }),
    raw: shortLog(`${runnerLog}\n${scriptLog}`.trim()),
    error,
  });
};
