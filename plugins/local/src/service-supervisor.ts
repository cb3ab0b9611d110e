import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type AppName,
  type ConfinedCommand,
  type Host,
  type Labels,
  PluginError,
  parseUnitName,
  type Sandbox,
  type UnitName,
} from '@pipit/core';
import { inspectDetached, startDetached, stopDetached } from '@pipit/plugin-kit';
import { withFolderLock } from './folder-lock.js';
import { hostRoot, isInside, readHostFile } from './local-deployer-root.js';
import { ENDED_BY_TERM, MAX_SERVICE_LOG_BYTES, restartPauses, SUPERVISOR_SCRIPT } from './service-supervisor-script.js';
import { parseServiceUnit, type ServiceUnit, unitPaths } from './service-supervisor-unit.js';
import { MAX_REPORTED_LOG_BYTES, shortLog } from './short-log.js';
import { writeWhole } from './write-whole.js';

/** The host's folders that a service sees in place of this machine's. Interpreters and libraries are this machine's. */
const HOST_FOLDERS = ['opt', 'srv'];

export interface HostService {
  /** The deployer's folder. */
  readonly folder: string;
  readonly host: Host;
  readonly app: AppName;
  readonly service: UnitName;
  readonly sandbox: Sandbox;
  readonly signal: AbortSignal;
}

const serviceFolder = (folder: string, hostId: string, service: UnitName): string =>
  join(folder, 'services', hostId, service.replace(/\.service$/, ''));

/** What one start of a service is kept by: its own folder, in which `startDetached` says whether it runs. */
const startsIn = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder).catch(() => [])).filter((name) => name.startsWith('start-'));

/** Runs a command as this host's: in the sandbox, with the host's folders in place of this machine's. */
export const confineToHost = async (options: {
  readonly root: string;
  readonly host: Host;
  readonly sandbox: Sandbox;
  /** A folder that the command may write to; made when missing. */
  readonly stateFolder: string;
  readonly argv: readonly string[];
  readonly workingDirectory?: string;
  readonly environment?: Labels;
}): Promise<ConfinedCommand> => {
  const { root, sandbox, stateFolder } = options;
  if (!existsSync(stateFolder)) {
    await mkdir(stateFolder, { recursive: true });
    await sandbox.giveFolder(stateFolder);
  }
  const present: string[] = [];
  // A post-install script may have made a link here that leads out of the host: such a folder is not shown.
  for (const name of HOST_FOLDERS) if (await isInside(root, join(root, name))) present.push(name);
  // Without namespaces nothing can be shown at another path: what lies in the host is named by its path on this machine.
  const located = (word: string): string => {
    const isOfHost = sandbox.mode !== 'namespaces' && present.some((name) => word === `/${name}` || word.startsWith(`/${name}/`));
    return isOfHost ? `${root}${word}` : word;
  };
  const argv = options.argv.map(located);
  const inFolder = [
    '/bin/sh',
    '-c',
    'cd -- "$1" && shift && exec "$@"',
    'pipit-service',
    located(options.workingDirectory ?? '/'),
    ...argv,
  ];
  return sandbox.confine(inFolder, {
    folder: stateFolder,
    // A service serves, and a check of it queries the service.
    network: 'full',
    mounts: present.map((name) => ({ from: join(root, name), to: `/${name}` })),
    env: { HOME: stateFolder, ...options.environment, PIPIT_HOST_ADDRESS: options.host.address },
  });
};

const readUnit = async ({ folder, host, service }: HostService): Promise<ServiceUnit> => {
  const root = hostRoot(folder, host.id);
  for (const path of unitPaths(service)) {
    const text = await readHostFile(root, join(root, path));
    if (text !== undefined) return parseServiceUnit(service, text);
  }
  throw new PluginError({
    code: 'HOST_SERVICE_UNIT_MISSING',
    message: `The package installed no unit for the service ${service} on ${host.id} (looked at ${unitPaths(service).join(', ')})`,
    hint: 'Add the unit file to the repository, or take the service out of its pipit.yaml.',
    recovery: 'stop',
  });
};

const stopStarts = async (folder: string): Promise<void> => {
  for (const name of await startsIn(folder)) {
    await stopDetached(join(folder, name));
    await rm(join(folder, name), { recursive: true, force: true });
  }
};

const isRunning = async (folder: string): Promise<boolean> => (await inspectDetached(folder))?.state === 'running';

/**
 * One at a time for a service: a start, a stop and a look that ends in a start must not come between each other. The lock lies in the service's own
 * folder: whatever name stands beside that can be a service of another app.
 */
const withServiceLock = <T>(folder: string, hostId: string, service: UnitName, signal: AbortSignal, work: () => Promise<T>): Promise<T> =>
  withFolderLock({ path: join(serviceFolder(folder, hostId, service), 'lock'), signal }, work);

/** Ends whatever runs of the service, then starts it under a supervisor whose records are the folder `start`. The caller holds the lock. */
const startAnew = async (request: HostService, start: string): Promise<void> => {
  const { folder, host, app, service, sandbox } = request;
  const ofService = serviceFolder(folder, host.id, service);
  const unit = await readUnit(request);
  const command = await confineToHost({
    root: hostRoot(folder, host.id),
    host,
    sandbox,
    stateFolder: join(ofService, 'state'),
    argv: unit.argv,
    environment: unit.environment,
    ...(unit.workingDirectory === undefined ? {} : { workingDirectory: unit.workingDirectory }),
  });
  await stopStarts(ofService);
  await writeWhole(join(ofService, 'app'), app);
  const supervisor = [
    '/bin/sh',
    '-c',
    SUPERVISOR_SCRIPT,
    'pipit-service',
    join(ofService, 'log'),
    unit.restart,
    restartPauses(unit.restartMs),
    `${MAX_SERVICE_LOG_BYTES}`,
  ];
  await startDetached({ folder: join(ofService, start), argv: [...supervisor, ...command.argv], env: command.env, cwd: '/' });
};

/**
 * Starts a service of a host anew under a supervisor that outlives pipit and restarts it as its unit says. Once for a `startId`: repeating it
 * does nothing while that start's supervisor runs.
 *
 * @throws PluginError `HOST_SERVICE_UNIT_MISSING`, `HOST_SERVICE_UNSUPPORTED` (stop)
 */
export const restartService = async (request: HostService & { readonly startId: string }): Promise<void> => {
  const { folder, host, service, signal, startId } = request;
  const ofService = serviceFolder(folder, host.id, service);
  // Its state folder is the sandbox's user's, who without namespaces has to get there by this path; the records and logs beside it are closed.
  await mkdir(ofService, { recursive: true, mode: 0o711 });
  const start = `start-${startId}`;
  await withServiceLock(folder, host.id, service, signal, async () => {
    if (!(await isRunning(join(ofService, start)))) await startAnew(request, start);
  });
};

/** The end of what services said, each under its name, together no longer than a report holds; empty when they said nothing. */
export const readServiceLogs = async (folder: string, hostId: string, services: readonly UnitName[]): Promise<string> => {
  const share = Math.floor(MAX_REPORTED_LOG_BYTES / Math.max(1, services.length));
  const said = await Promise.all(
    services.map(async (service) => {
      const log = join(serviceFolder(folder, hostId, service), 'log');
      const parts = await Promise.all([`${log}.before`, log].map((path) => readFile(path, 'utf8').catch(() => '')));
      const heading = `${service}:\n`;
      const end = shortLog(parts.join(''), Math.max(0, share - heading.length - 1));
      return end === '' ? [] : `${heading}${end}`;
    }),
  );
  return said.flat().join('\n');
};

const servicesOf = async (folder: string, hostId: string): Promise<readonly UnitName[]> => {
  const entries = await readdir(join(folder, 'services', hostId), { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => parseUnitName(entry.name));
};

const appOf = (folder: string, hostId: string, service: UnitName): Promise<string | undefined> =>
  readFile(join(serviceFolder(folder, hostId, service), 'app'), 'utf8').catch(() => undefined);

/** The services that run, or ran, on a host for an app. */
export const servicesOfApp = async (folder: string, hostId: string, app: AppName): Promise<readonly UnitName[]> => {
  const services = await servicesOf(folder, hostId);
  const apps = await Promise.all(services.map((service) => appOf(folder, hostId, service)));
  return services.filter((_, index) => apps[index] === app);
};

/** Stops what an earlier release of the app ran on this host and this one does not. */
export const stopOtherServices = async (
  request: Pick<HostService, 'folder' | 'host' | 'app' | 'signal'> & { readonly wanted: readonly UnitName[] },
): Promise<void> => {
  const { folder, host, app, wanted, signal } = request;
  const kept = new Set(wanted.map((service) => service.replace(/\.service$/, '')));
  for (const service of await servicesOfApp(folder, host.id, app)) {
    if (kept.has(service)) continue;
    await withServiceLock(folder, host.id, service, signal, () => stopStarts(serviceFolder(folder, host.id, service)));
  }
};

/**
 * Whether a start should run and does not. Pipit removes the record of what it stops; so one that was told to end was told by somebody else:
 * a machine that shuts down tells every process, a service manager all that began under pipit.
 */
const isCutOff = async (start: string): Promise<boolean> => {
  const state = await inspectDetached(start);
  return state?.state === 'lost' || (state?.state === 'ended' && (state.reason === 'stopped' || state.exitCode === ENDED_BY_TERM));
};

/**
 * Starts again what ran on a host before this machine was restarted, or before its supervisor was ended from outside.
 *
 * @returns what was started
 * @throws PluginError `HOST_SERVICE_UNIT_MISSING`, `HOST_SERVICE_UNSUPPORTED` (stop)
 */
export const reviveServices = async (request: Omit<HostService, 'service'>): Promise<readonly UnitName[]> => {
  const { folder, host, app, signal } = request;
  const revived: UnitName[] = [];
  for (const service of await servicesOfApp(folder, host.id, app)) {
    const ofService = serviceFolder(folder, host.id, service);
    const findCutOff = async (): Promise<string | undefined> => {
      const [start] = await startsIn(ofService);
      return start !== undefined && (await isCutOff(join(ofService, start))) ? start : undefined;
    };
    if ((await findCutOff()) === undefined) continue;
    await withServiceLock(folder, host.id, service, signal, async () => {
      // Looked at again: a rollout may have been in the middle of its own restart.
      const start = await findCutOff();
      if (start === undefined) return;
      await startAnew({ ...request, service }, start);
      revived.push(service);
    });
  }
  return revived;
};

/** Ends every service that runs on the local hosts of this folder, with its supervisor: the clean end of a demo. Their installs stay. */
export const stopHostServices = async (folder: string): Promise<void> => {
  const hosts = await readdir(join(folder, 'services')).catch(() => []);
  const { signal } = new AbortController();
  await Promise.all(
    hosts.map(async (hostId) => {
      for (const service of await servicesOf(folder, hostId))
        await withServiceLock(folder, hostId, service, signal, () => stopStarts(serviceFolder(folder, hostId, service)));
    }),
  );
};
