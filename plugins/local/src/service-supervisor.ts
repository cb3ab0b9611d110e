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
import { hostRoot, isInside, readHostFile, tailOf } from './local-deployer-root.js';
import { MAX_SERVICE_LOG_BYTES, restartPauses, SUPERVISOR_SCRIPT } from './service-supervisor-script.js';
import { parseServiceUnit, type ServiceUnit, unitPaths } from './service-supervisor-unit.js';
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

const stopStarts = async (folder: string, except?: string): Promise<void> => {
  for (const name of await startsIn(folder)) {
    if (name === except) continue;
    await stopDetached(join(folder, name));
    await rm(join(folder, name), { recursive: true, force: true });
  }
};

const isRunning = async (folder: string): Promise<boolean> => (await inspectDetached(folder))?.state === 'running';

/**
 * Starts a service of a host anew under a supervisor that outlives pipit and restarts it as its unit says. Once for a `startId`: repeating it
 * does nothing while that start's supervisor runs.
 *
 * @throws PluginError `HOST_SERVICE_UNIT_MISSING`, `HOST_SERVICE_UNSUPPORTED` (stop)
 */
export const restartService = async (request: HostService & { readonly startId: string }): Promise<void> => {
  const { folder, host, app, service, sandbox, signal, startId } = request;
  const ofService = serviceFolder(folder, host.id, service);
  await mkdir(ofService, { recursive: true, mode: 0o700 });
  await withFolderLock({ path: `${ofService}.lock`, signal }, async () => {
    const starts = (await startsIn(ofService)).filter((name) => name.startsWith(`start-${startId}`));
    for (const name of starts) if (await isRunning(join(ofService, name))) return;
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
    ];
    await startDetached({
      folder: join(ofService, `start-${startId}`),
      argv: [...supervisor, `${MAX_SERVICE_LOG_BYTES}`, ...command.argv],
      env: command.env,
      cwd: '/',
    });
  });
};

/** The end of what a service said. */
export const readServiceLog = async (folder: string, hostId: string, service: UnitName): Promise<string> =>
  tailOf(await readFile(join(serviceFolder(folder, hostId, service), 'log'), 'utf8').catch(() => ''));

const servicesOf = async (folder: string, hostId: string): Promise<readonly UnitName[]> => {
  const entries = await readdir(join(folder, 'services', hostId), { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => parseUnitName(entry.name));
};

const appOf = (folder: string, hostId: string, service: UnitName): Promise<string | undefined> =>
  readFile(join(serviceFolder(folder, hostId, service), 'app'), 'utf8').catch(() => undefined);

/** Stops what an earlier release of the app ran on this host and this one does not. */
export const stopOtherServices = async (folder: string, host: Host, app: AppName, wanted: readonly UnitName[]): Promise<void> => {
  const kept = new Set(wanted.map((service) => service.replace(/\.service$/, '')));
  for (const service of await servicesOf(folder, host.id)) {
    if (kept.has(service) || (await appOf(folder, host.id, service)) !== app) continue;
    await stopStarts(serviceFolder(folder, host.id, service));
  }
};

/** Starts again what ran on a host before this machine was restarted, or before its supervisor was killed. */
export const reviveServices = async (request: Omit<HostService, 'service'>): Promise<void> => {
  const { folder, host, app } = request;
  for (const service of await servicesOf(folder, host.id)) {
    if ((await appOf(folder, host.id, service)) !== app) continue;
    const ofService = serviceFolder(folder, host.id, service);
    const states = await Promise.all(
      (await startsIn(ofService)).map(async (name) => ({ name, state: await inspectDetached(join(ofService, name)) })),
    );
    const [last] = states;
    if (last?.state?.state === 'lost') await restartService({ ...request, service, startId: last.name.slice('start-'.length) });
  }
};

/** Ends every service that runs on the local hosts of this folder, with its supervisor: the clean end of a demo. Their installs stay. */
export const stopHostServices = async (folder: string): Promise<void> => {
  const hosts = await readdir(join(folder, 'services')).catch(() => []);
  await Promise.all(
    hosts.map(async (hostId) => {
      for (const service of await servicesOf(folder, hostId)) await stopStarts(serviceFolder(folder, hostId, service));
    }),
  );
};
