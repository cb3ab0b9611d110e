import { randomUUID } from 'node:crypto';
import { type Call, type Connection, type Host, PluginError } from '@pipit/core';
import type { CleanupRow, Records, WorkingPart, WorkPlace } from '@pipit/pipeline';
import { systemClock } from '../machine/system-clock.js';
import type { Instances } from '../plugins/instances.js';
import { chooseHost } from './choose-host.js';
import { createRemoteShell } from './remote-shell.js';
import { type RemoteTarget, readTarget, writeTarget } from './remote-target.js';
import { type FolderRequest, folderNameOf, type WorkFolder } from './work-folder.js';

/** A host that does not answer must not hold the sweep for long. */
const REMOVE_DEADLINE_MS = 20_000;

export interface RemoteFolders {
  /** A folder where the part's `on:` says. A task's calls share one, on one host. */
  prepare(place: WorkPlace, request: FolderRequest): Promise<WorkFolder>;
  /** A folder on a host that the plugin names, for one call. */
  connect(host: Host, request: FolderRequest): Promise<WorkFolder>;
  remove(target: string): Promise<void>;
}

const notConfigured = (): never => {
  throw new PluginError({
    code: 'TRANSPORT_NOT_CONFIGURED',
    message: 'No transport is configured, so no other host can be reached',
    hint: "Add a plugin that provides a transport, such as ssh, and name it as the pipeline's `transport:`.",
    recovery: 'stop',
  });
};

/** Work folders on other hosts, over transports. Each has a row in the clean-up table before it is made. */
export const createRemoteFolders = (ports: {
  readonly records: Records;
  readonly instances: Instances;
  readonly createCall: (deadlineMs: number) => Call;
}): RemoteFolders => {
  const { records, instances } = ports;

  const open = (transport: string | undefined, host: Host, call: Call): Promise<Connection> =>
    transport === undefined ? notConfigured() : instances.kindOf(transport, 'transport').connect(host, call);

  const hostFrom = ({ host }: RemoteTarget): Host => ({ ...host, available: true, attributes: {} });

  const removeOver = async (connection: Connection, path: string): Promise<void> => {
    const remove = (root: boolean) => connection.run(['rm', '-rf', '--', path], { root, cwd: '/', timeoutMs: REMOVE_DEADLINE_MS });
    // What a command made there as root, only root can remove.
    if ((await remove(false)).exitCode === 0 || (await remove(true)).exitCode === 0) return;
    throw new Error(`${path} could not be removed`);
  };

  /** The row that a task's earlier call stored: its host stays, whatever discovery says now. */
  const known = async (id: string): Promise<RemoteTarget | undefined> => {
    const row = await records.get('cleanups', { id });
    return row === undefined ? undefined : readTarget(row.target);
  };

  const store = async (id: string, target: RemoteTarget, operationId: CleanupRow['operationId']): Promise<void> => {
    const createdAt = systemClock.now().toISOString();
    const row = { id, kind: 'remote-folder', target: writeTarget(target), operationId, createdAt, lastError: null } as const;
    await records.transaction((transaction) => transaction.insert('cleanups', row));
  };

  const enter = async (id: string, target: RemoteTarget, { request, call, openOutput }: FolderRequest): Promise<WorkFolder> => {
    const { transport, path } = target;
    const connection = await open(transport, hostFrom(target), call);
    try {
      // Its name cannot be guessed. A task's own may be gone: `/var/tmp` outlives a restart of the host but not whoever cleans it.
      const made = await connection.run(['mkdir', '-p', '-m', '0700', '--', path], { cwd: '/' });
      if (made.exitCode !== 0)
        throw new PluginError({
          code: 'WORK_FOLDER_NOT_MADE',
          message: `${target.host.id} could not make ${path}: ${made.stderr.trim().slice(-500)}`,
          hint: 'Look at the free space and the rights of /var/tmp on that host.',
          recovery: 'retry',
        });
    } catch (error) {
      await connection.close();
      throw error;
    }
    return {
      shell: createRemoteShell({ connection, folder: path, deadlineMs: request.deadlineMs, openOutput }),
      remove: async () => {
        try {
          await removeOver(connection, path);
        } catch {
          return; // the row stays, and the janitor tries again: the effect itself has ended well or badly already
        }
        await records.transaction((transaction) => transaction.remove('cleanups', { id }));
      },
      close: () => connection.close(),
    };
  };

  const freshPath = (request: FolderRequest['request']): string => `/var/tmp/pipit-${folderNameOf(request)}-${randomUUID().slice(0, 8)}`;

  const transportOf = ({ transport }: WorkingPart): string => transport ?? notConfigured();

  return {
    prepare: async (place, given) => {
      const { request, call } = given;
      const transport = transportOf(request.part);
      const id = `${transport}:${folderNameOf(request)}`;
      const earlier = await known(id);
      if (earlier !== undefined) return enter(id, earlier, given);
      const busy = (await records.list('cleanups', { where: { kind: 'remote-folder' } })).map((row) => readTarget(row.target).host.id);
      const host = await chooseHost(place, call, (hostId) => busy.filter((each) => each === hostId).length);
      const target = { transport, host, path: freshPath(request) };
      await store(id, target, request.operationId);
      return enter(id, target, given);
    },
    connect: async (host, given) => {
      const target = { transport: transportOf(given.request.part), host, path: freshPath(given.request) };
      const id = `${target.transport}:${target.path}`;
      await store(id, target, given.request.operationId);
      return enter(id, target, given);
    },
    remove: async (text) => {
      const target = readTarget(text);
      const call = ports.createCall(REMOVE_DEADLINE_MS);
      const connection = await open(target.transport, hostFrom(target), call);
      try {
        await removeOver(connection, target.path);
      } finally {
        await connection.close();
      }
    },
  };
};
