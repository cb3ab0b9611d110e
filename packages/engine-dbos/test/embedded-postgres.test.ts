import { execFile, spawn, spawnSync } from 'node:child_process';
import { chmod, chown, cp, lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { tryLockFolder } from '../src/data-folder/folder-lock.js';
import { findPostmaster } from '../src/embedded/postmaster.js';
import { findServerBinaries, locateInstalledPrograms } from '../src/embedded/server-binaries.js';
import { type EmbeddedPostgres, prepareDataFolder, startEmbeddedPostgres } from '../src/index.js';
import { buildProgram, runProgram } from './support/program.js';
import { quietLogger as logger } from './support/quiet-logger.js';
import { temporaryFolder } from './support/temporary-folder.js';
import { waitUntil } from './support/wait-until.js';

const isRoot = process.getuid?.() === 0;
const run = promisify(execFile);

/** A cluster that initdb made once; each test copies it. */
let template: string;
let program: Awaited<ReturnType<typeof buildProgram>>;

const start = async (dataFolder: string): Promise<EmbeddedPostgres> => {
  const database = await startEmbeddedPostgres({ dataFolder, logger });
  onTestFinished(() => database.stop());
  return database;
};

/** Copied with owners and modes, which Node's `cp` does not keep. */
const copyData = async (to: string): Promise<string> => {
  await run('cp', ['-a', template, to]);
  return to;
};

const freshData = async (): Promise<string> => copyData(join(await temporaryFolder(), 'data'));

/** Ends what a killed program left, so that no test leaves a database behind. */
const endOrphanAfterTest = (dataFolder: string): void => {
  onTestFinished(async () => {
    const orphan = await findPostmaster(join(dataFolder, 'postgres', 'data')).catch(() => undefined);
    if (orphan) process.kill(orphan.pid, 'SIGQUIT');
  });
};

const query = async (database: Pick<EmbeddedPostgres, 'ownerUrl'>, sql: string): Promise<readonly Record<string, unknown>[]> => {
  const client = new pg.Client({ connectionString: database.ownerUrl });
  client.on('error', () => undefined); // a killed server cuts it
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
};

const ownNamespaces = [...(isRoot ? [] : ['--map-root-user']), '--pid', '--mount', '--fork', '--mount-proc', '--kill-child'];
/** Why there are no namespaces of our own here; undefined: there are. As a mapped root PostgreSQL would not run. */
const noNamespaces = ((): string | undefined => {
  if (!isRoot) return 'needs root: PostgreSQL refuses to be the root that a user is in a namespace of its own';
  const { status, stderr, error } = spawnSync('unshare', [...ownNamespaces, 'true'], { encoding: 'utf8' });
  return status === 0 ? undefined : `unshare: ${error?.message ?? stderr.trim()}`;
})();

/** Runs the program below a shell in namespaces of its own; the shell, and with it the namespace, stays when the program has died. */
const runInShell = (path: string, dataFolder: string) =>
  runProgram(path, ['postgres', dataFolder, '500'], ['unshare', ...ownNamespaces, 'sh', '-c', '"$@"; sleep 600', 'sh']);

const isAlive = (pid: number): Promise<boolean> =>
  readFile(`/proc/${pid}/stat`, 'utf8').then(
    (text) => !/\) [ZX] /.test(text),
    () => false,
  );

beforeAll(async () => {
  program = await buildProgram('data-folder');
  const { mkdtemp } = await import('node:fs/promises');
  const parent = await mkdtemp('/tmp/pipit-edb-template-');
  await chmod(parent, 0o711);
  template = join(parent, 'data');
  await prepareDataFolder(template);
  const database = await startEmbeddedPostgres({ dataFolder: template, logger });
  await database.stop();
});
afterAll(async () => {
  await program.remove();
  await rm(dirname(template), { recursive: true, force: true });
});

describe('startEmbeddedPostgres', () => {
  it('serves its database on a Unix socket only, durable and checked', async () => {
    const database = await start(await freshData());
    const settings = await query(
      database,
      `select name, setting from pg_settings where name in ('listen_addresses', 'data_checksums', 'fsync', 'synchronous_commit', 'jit', 'server_encoding', 'max_connections')`,
    );
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
      listen_addresses: '',
      data_checksums: 'on',
      fsync: 'on',
      synchronous_commit: 'on',
      jit: 'off',
      server_encoding: 'UTF8',
      max_connections: '40',
    });
    expect((await stat(database.socketFolder)).mode & 0o777).toBe(0o700);
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    expect((await client.query('select current_database() as name')).rows).toEqual([{ name: 'pipit' }]);
    await client.end();
  });

  it('keeps what was committed when it is stopped and started', async () => {
    const dataFolder = await freshData();
    const first = await start(dataFolder);
    await query(first, 'create table kept as select 42 as answer');
    await first.stop();
    expect(await isAlive(first.pid)).toBe(false);
    const second = await start(dataFolder);
    expect(second.adopted).toBe(false);
    expect(await query(second, 'select answer from kept')).toEqual([{ answer: 42 }]);
  });

  it('starts a killed database again, tells so, and has kept what was committed', async () => {
    const database = await start(await freshData());
    await query(database, 'create table kept as select 42 as answer');
    const restarts: number[] = [];
    database.onRestart((pid) => restarts.push(pid));
    for (const round of [1, 2]) {
      const killed = database.pid;
      process.kill(killed, 'SIGKILL');
      await waitUntil('a restart', () => restarts.length === round, 30_000);
      expect(database.pid).not.toBe(killed);
      expect(await query(database, 'select answer from kept')).toEqual([{ answer: 42 }]);
    }
  });

  it('tries for as long as a killed database does not start, reports each failure with its cause, and starts it', async () => {
    const dataFolder = await freshData();
    const log: unknown[] = [];
    const keep = (fields: object, message: string) => void log.push({ ...fields, message });
    const database = await startEmbeddedPostgres({ dataFolder, logger: { ...logger, error: keep }, random: () => 0 });
    onTestFinished(() => database.stop());
    const troubles: string[] = [];
    database.onTrouble(({ reason }) => troubles.push(reason));
    const restarted = new Promise((settle) => database.onRestart(settle));
    const version = join(dataFolder, 'postgres', 'data', 'PG_VERSION');
    await rename(version, `${version}.away`);
    process.kill(database.pid, 'SIGKILL');
    await waitUntil('three failures', () => troubles.length > 3, 30_000);
    expect(troubles[0]).toContain('ended by itself');
    expect(troubles[2]).toContain('PG_VERSION');
    expect(log).toContainEqual(expect.objectContaining({ reason: troubles[2], attempt: 3, nextTryInMs: expect.any(Number) }));
    await rename(`${version}.away`, version);
    await restarted;
    expect(await query(database, 'select 1 as one')).toEqual([{ one: 1 }]);
  }, 60_000);

  it('ends while its database cannot be started', async () => {
    const dataFolder = await freshData();
    const database = await startEmbeddedPostgres({ dataFolder, logger });
    const troubles: string[] = [];
    database.onTrouble(({ reason }) => troubles.push(reason));
    await rm(join(dataFolder, 'postgres', 'data', 'PG_VERSION'));
    process.kill(database.pid, 'SIGKILL');
    await waitUntil('a failure', () => troubles.length > 1, 30_000);
    await database.stop();
  }, 60_000);

  it('cuts connections that stay open when it stops', async () => {
    const database = await start(await freshData());
    const client = new pg.Client(database.connection);
    const cut = new Promise((settle) => client.on('error', settle));
    await client.connect();
    await database.stop();
    await expect(cut).resolves.toMatchObject({ code: '57P01' });
  });

  it('runs in a session of its own, out of reach of a Ctrl-C in the terminal', async () => {
    const database = await start(await freshData());
    const fields = (await readFile(`/proc/${database.pid}/stat`, 'utf8')).replace(/^.*\) /, '').split(' ');
    expect({ group: Number(fields[2]), session: Number(fields[3]) }).toEqual({ group: database.pid, session: database.pid });
  });

  it('adopts the database of a killed parent, and keeps it running', async () => {
    const dataFolder = await freshData();
    endOrphanAfterTest(dataFolder);
    const parent = runProgram(program.path, ['postgres', dataFolder]);
    const { pid } = await parent.next<{ pid: number }>('started');
    await parent.killHard();
    expect(await isAlive(pid)).toBe(true);
    const adopted = await start(dataFolder);
    expect(adopted).toMatchObject({ pid, adopted: true });
    const restarted = new Promise((settle) => adopted.onRestart(settle));
    process.kill(pid, 'SIGKILL');
    await restarted;
    expect(await query(adopted, 'select 1 as one')).toEqual([{ one: 1 }]);
    await adopted.stop();
    expect(await isAlive(adopted.pid)).toBe(false);
  });

  it('waits for the end of an adopted database where nothing else holds the event loop', async () => {
    const dataFolder = await freshData();
    endOrphanAfterTest(dataFolder);
    const parent = runProgram(program.path, ['postgres', dataFolder]);
    const { pid } = await parent.next<{ pid: number }>('started');
    await parent.killHard();
    const next = runProgram(program.path, ['postgres', dataFolder]);
    expect(await next.next('started')).toMatchObject({ pid, adopted: true });
    next.child.stdin?.end();
    await next.next('stopped');
    expect(await next.ended).toBe(0);
    expect(await isAlive(pid)).toBe(false);
  });

  it('stops a database of a killed parent that does not answer, and starts its own', async () => {
    const dataFolder = await freshData();
    endOrphanAfterTest(dataFolder);
    const parent = runProgram(program.path, ['postgres', dataFolder]);
    const { pid, socketFolder } = await parent.next<{ pid: number; socketFolder: string }>('started');
    await parent.killHard();
    await rm(join(socketFolder, '.s.PGSQL.5432'));
    const database = await start(dataFolder);
    expect(database.adopted).toBe(false);
    expect(database.pid).not.toBe(pid);
    expect(await isAlive(pid)).toBe(false);
  }, 60_000);

  it('starts when both parent and database were killed', async () => {
    const dataFolder = await freshData();
    const parent = runProgram(program.path, ['postgres', dataFolder]);
    const { pid } = await parent.next<{ pid: number }>('started');
    await parent.killHard();
    process.kill(pid, 'SIGKILL');
    await waitUntil('the end', async () => !(await isAlive(pid)));
    const database = await start(dataFolder);
    expect(database.adopted).toBe(false);
    expect(await query(database, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('stops a database that an older pipit left without the lock of the kernel, and starts one that has it', async () => {
    const dataFolder = await freshData();
    endOrphanAfterTest(dataFolder);
    const parent = runProgram(program.path, ['postgres', dataFolder], ['env', 'PATH=/nonexistent']);
    const { pid } = await parent.next<{ pid: number }>('started');
    await parent.killHard();
    const database = await start(dataFolder);
    expect(database.adopted).toBe(false);
    expect(await isAlive(pid)).toBe(false);
    expect(await tryLockFolder(join(dataFolder, 'postgres', 'data'))).toEqual({ state: 'held' });
  });

  it.skipIf(noNamespaces !== undefined)(
    `refuses to start beside a PostgreSQL in another container, seen from outside and from a third one${noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`}`,
    async () => {
      const dataFolder = await freshData();
      const cluster = join(dataFolder, 'postgres', 'data');
      // The namespace's first process is a shell, so that the database outlives the pipit that started it.
      const inside = runInShell(program.path, dataFolder);
      const { pid } = await inside.next<{ pid: number }>('started');
      inside.send('die');
      await inside.next('dying');
      // In that namespace it is PostgreSQL. Here it is whoever has the pid, or nobody.
      expect(await readFile(join(cluster, 'postmaster.pid'), 'utf8')).toMatch(new RegExp(`^${pid}\n`));
      await expect(startEmbeddedPostgres({ dataFolder, logger, lockPatienceMs: 500 })).rejects.toMatchObject({
        code: 'DATABASE_IN_USE',
        message: expect.stringContaining(`process ${pid} on`),
        hint: expect.stringContaining('kill -INT'),
      });
      expect(await readFile(join(cluster, 'postmaster.pid'), 'utf8')).toMatch(new RegExp(`^${pid}\n`));
      const third = runInShell(program.path, dataFolder);
      expect(await third.next('refused')).toMatchObject({
        code: 'DATABASE_IN_USE',
        hint: expect.stringContaining('cannot be seen from here'),
      });
      await Promise.all([inside.killHard(), third.killHard()]);
      await start(dataFolder);
    },
    90_000,
  );

  it('ends a frozen process that a killed database left, and starts it again', async () => {
    const dataFolder = await freshData();
    const database = await start(dataFolder);
    const client = new pg.Client(database.connection);
    client.on('error', () => undefined);
    await client.connect();
    const backend = Number((await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid);
    process.kill(backend, 'SIGSTOP');
    const restarted = new Promise((settle) => database.onRestart(settle));
    process.kill(database.pid, 'SIGKILL');
    await restarted;
    expect(await isAlive(backend)).toBe(false);
    expect(await query(database, 'select 1 as one')).toEqual([{ one: 1 }]);
    client.end().catch(() => undefined);
  }, 60_000);

  it('is not fooled by a postmaster.pid whose pid some other process has now', async () => {
    const dataFolder = await freshData();
    const cluster = join(dataFolder, 'postgres', 'data');
    const owner = await stat(cluster);
    // The other process is the database user's own, as after a reboot: PostgreSQL alone would refuse to start.
    const [command = '', ...args] = [
      ...(isRoot ? ['setpriv', `--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'] : []),
      'sleep',
      '60',
    ];
    const child = spawn(command, args, { stdio: 'ignore' });
    onTestFinished(() => void child.kill());
    const other = { pid: child.pid ?? 0 };
    await waitUntil('sleep', async () => (await readFile(`/proc/${other.pid}/comm`, 'utf8')).startsWith('sleep'));
    await writeFile(join(cluster, 'postmaster.pid'), `${other.pid}\n${cluster}\n1\n5432\n${dataFolder}\n\n 1 1\nready\n`);
    await chown(join(cluster, 'postmaster.pid'), owner.uid, owner.gid);
    const database = await start(dataFolder);
    expect(database).toMatchObject({ adopted: false });
    expect(await isAlive(other.pid)).toBe(true);
  });

  it('begins anew where initdb was killed half-way', async () => {
    const dataFolder = join(await temporaryFolder(), 'data');
    const parent = runProgram(program.path, ['postgres', dataFolder]);
    const postgresFolder = join(dataFolder, 'postgres');
    await waitUntil('half a cluster', async () => {
      const names = await readdir(postgresFolder).catch(() => []);
      const fresh = names.find((name) => name.startsWith('data.new-'));
      return fresh !== undefined && (await readdir(join(postgresFolder, fresh)).catch(() => [])).length > 3;
    });
    await parent.killHard();
    expect(await readdir(postgresFolder)).not.toContain('data');
    const database = await start(dataFolder);
    expect(await query(database, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect((await readdir(postgresFolder)).filter((name) => name.startsWith('data.new-'))).toEqual([]);
  });

  it('refuses a cluster of another major version and says what to do', async () => {
    const dataFolder = await freshData();
    await writeFile(join(dataFolder, 'postgres', 'data', 'PG_VERSION'), '17\n');
    await expect(startEmbeddedPostgres({ dataFolder, logger })).rejects.toMatchObject({
      code: 'DATABASE_VERSION_MISMATCH',
      message: expect.stringContaining('PostgreSQL 17'),
    });
  });

  it('says what the server said when it does not start', async () => {
    const dataFolder = await freshData();
    await writeFile(join(dataFolder, 'postgres', 'data', 'postgresql.conf'), 'nonsense = on\n');
    await expect(startEmbeddedPostgres({ dataFolder, logger })).rejects.toMatchObject({
      code: 'DATABASE_START_FAILED',
      message: expect.stringContaining('nonsense'),
    });
  });

  it('puts its socket elsewhere when the path is too long for one, and keeps to that place', async () => {
    const dataFolder = join(await temporaryFolder(), 'x'.repeat(120), 'data');
    await mkdir(dirname(dataFolder), { recursive: true });
    await chmod(dirname(dirname(dataFolder)), 0o711);
    await copyData(dataFolder);
    const database = await start(dataFolder);
    expect(Buffer.byteLength(database.socketFolder)).toBeLessThan(60);
    expect((await lstat(database.socketFolder)).mode & 0o777).toBe(0o700);
    expect(await readFile(join(dataFolder, 'postgres', 'socket-folder'), 'utf8')).toBe(database.socketFolder);
    expect(await query(database, 'select 1 as one')).toEqual([{ one: 1 }]);
    await database.stop();
    await expect(lstat(database.socketFolder)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('ends its start when it is told to', async () => {
    const dataFolder = join(await temporaryFolder(), 'data');
    await prepareDataFolder(dataFolder);
    const stop = new AbortController();
    const starting = startEmbeddedPostgres({ dataFolder, logger, signal: stop.signal });
    await waitUntil('initdb', async () => (await readdir(join(dataFolder, 'postgres'))).some((name) => name.startsWith('data.new-')));
    stop.abort(new Error('enough'));
    await expect(starting).rejects.toThrow('enough');
    expect((await readdir(join(dataFolder, 'postgres'))).filter((name) => name.startsWith('data'))).toEqual([]);
  });

  it('needs no more than 50 MB when idle', async () => {
    const database = await start(await freshData());
    await query(database, 'select 1');
    const kilobytes = await waitUntil('the backend gone', async () => {
      const children = (await run('ps', ['-o', 'pid=', '--ppid', String(database.pid)])).stdout.trim().split(/\s+/);
      const rollups = await Promise.all(
        [String(database.pid), ...children].map((pid) => readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')),
      );
      return rollups.map((text) => Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0)).reduce((sum, each) => sum + each, 0);
    });
    console.log(`idle database: ${Math.round(kilobytes / 1024)} MB PSS`);
    expect(kilobytes).toBeLessThan(50 * 1024);
  });
});

describe.runIf(isRoot)('as root', () => {
  it('runs the database as a user of its own', async () => {
    const database = await start(await freshData());
    const status = await readFile(`/proc/${database.pid}/status`, 'utf8');
    const uids = /^Uid:\s+(.*)$/m.exec(status)?.[1]?.split(/\s+/);
    const { stdout } = await run('getent', ['passwd', 'pipit-postgres']);
    expect(new Set(uids)).toEqual(new Set([stdout.split(':')[2]]));
    expect(/^Groups:\s*(.*)$/m.exec(status)?.[1]?.trim() ?? '').not.toMatch(/(^| )0( |$)/);
  });

  it('names the parent folder that its user cannot enter, and a folder that works', async () => {
    const parent = await temporaryFolder();
    const dataFolder = join(parent, 'closed', 'data');
    await prepareDataFolder(dataFolder);
    await chmod(join(parent, 'closed'), 0o700);
    await chmod(parent, 0o711);
    await expect(startEmbeddedPostgres({ dataFolder, logger })).rejects.toMatchObject({
      code: 'DATABASE_FOLDER_UNREACHABLE',
      message: expect.stringMatching(new RegExp(`cannot enter ${parent}/closed \\(mode 0700\\)`)),
      hint: expect.stringContaining('/var/lib/pipit'),
    });
  });

  it('copies programs that its user cannot reach to a shared place, once, links included', async () => {
    const folder = await temporaryFolder();
    await chmod(folder, 0o711);
    const { native } = await locateInstalledPrograms();
    const hidden = join(folder, 'hidden');
    await mkdir(hidden, { mode: 0o700 });
    // As npm unpacks them: without the links that the package's install script makes.
    await cp(native, join(hidden, 'native'), { recursive: true, filter: async (path) => !(await lstat(path)).isSymbolicLink() });
    const options = {
      user: { uid: 65534, gid: 65534 },
      sharedFolder: join(folder, 'shared'),
      installed: { native: join(hidden, 'native'), packageVersion: '1.2.3' },
    };
    const [one, other] = await Promise.all([findServerBinaries(options), findServerBinaries(options)]);
    expect(one.postgres).toMatch(new RegExp(`^${folder}/shared/postgresql-1\\.2\\.3-.*/bin/postgres$`));
    expect(other).toEqual(one);
    const copied = await stat(one.postgres);
    expect((await stat((await findServerBinaries(options)).postgres)).ino).toBe(copied.ino);
    expect(await readdir(join(folder, 'shared'))).toHaveLength(1);

    // Half a copy, after a power cut, is made anew; one that others may write is not run.
    await writeFile(one.postgres, '');
    expect((await findServerBinaries(options)).version).toBe(one.version);
    await chmod(dirname(dirname(dirname(one.postgres))), 0o777);
    await expect(findServerBinaries(options)).rejects.toMatchObject({ code: 'DATABASE_BINARIES_UNUSABLE' });
  }, 60_000);

  it('serves an ordinary user as that user', async (context) => {
    const asUser = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const isReadable = await promisify(execFile)('setpriv', [...asUser, 'test', '-r', import.meta.filename]).then(
      () => true,
      () => false,
    );
    if (!isReadable) context.skip('this checkout lies where another user may not enter');
    const folder = await temporaryFolder();
    const dataFolder = join(folder, 'data');
    await chown(folder, 65534, 65534);
    const parent = runProgram(program.path, ['postgres', dataFolder], ['setpriv', ...asUser]);
    const line = await parent.nextOf(['started', 'refused']);
    expect(line).toMatchObject({ started: { adopted: false } });
    const { pid } = line.started as { pid: number };
    expect((await stat(`/proc/${pid}`)).uid).toBe(65534);
    parent.send('stop');
    await parent.next('stopped');
    expect(await isAlive(pid)).toBe(false);
  });
});
