import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, chown, mkdtemp, readFile, readlink, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { waitUntil } from './wait-until.js';

/** A PostgreSQL that is not pipit's: on a port of loopback, started and ended by a test. */
export interface ExternalPostgres {
  readonly url: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  freeze(): void;
  thaw(): void;
  remove(): Promise<void>;
}

/** Makes one of the same programs, and run by the same user, as one that runs. */
export const createExternalPostgres = async (options: { readonly like: number; readonly port: number }): Promise<ExternalPostgres> => {
  const { like, port } = options;
  const programs = dirname(await readlink(`/proc/${like}/exe`));
  const status = await readFile(`/proc/${like}/status`, 'utf8');
  const idOf = (name: 'Uid' | 'Gid'): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  const user = process.getuid?.() === 0 ? { uid: idOf('Uid'), gid: idOf('Gid') } : {};
  const folder = await mkdtemp('/tmp/pipit-external-');
  await chmod(folder, 0o700);
  if (user.uid !== undefined && user.gid !== undefined) await chown(folder, user.uid, user.gid);
  const cluster = join(folder, 'data');
  await execa(join(programs, 'initdb'), ['-D', cluster, '-U', 'pipit', '--auth=trust', '--no-sync', '--locale=C', '--encoding=UTF8'], {
    ...user,
    cwd: '/',
  });
  let child: ReturnType<typeof spawn> | undefined;
  let ended: Promise<unknown> = Promise.resolve();
  const send = (signal: NodeJS.Signals) => void child?.kill(signal);
  /** To the postmaster, and to the backends that it has. */
  const sendToAll = (signal: NodeJS.Signals): void => {
    const pid = child?.pid;
    if (pid === undefined) return;
    send(signal);
    for (const backend of readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' '))
      process.kill(Number(backend), signal);
  };
  const stop = async (): Promise<void> => {
    sendToAll('SIGCONT');
    send('SIGINT');
    await ended;
    child = undefined;
  };
  return {
    url: `postgresql://pipit@127.0.0.1:${port}/postgres`,
    start: async () => {
      const words = ['-D', cluster, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${folder}`];
      const started = spawn(join(programs, 'postgres'), words, { ...user, cwd: '/', stdio: 'ignore' });
      ended = new Promise((resolve) => started.once('exit', resolve));
      child = started;
      await waitUntil('the external database is ready', async () => {
        const lines = (await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
        return lines[7]?.trim() === 'ready' || undefined;
      });
    },
    stop,
    freeze: () => sendToAll('SIGSTOP'),
    thaw: () => sendToAll('SIGCONT'),
    remove: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
