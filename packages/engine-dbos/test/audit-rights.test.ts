import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { appendAudit, findBrokenAudit } from '@pipit/pipeline';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findServerBinaries } from '../src/embedded/server-binaries.js';
import { serverUser } from '../src/embedded/server-user.js';
import {
  createKysely,
  createPool,
  createPostgresRecords,
  type EmbeddedPostgres,
  migrateRecords,
  prepareDataFolder,
  prepareRecords,
  readAuditRights,
  startEmbeddedPostgres,
} from '../src/index.js';
import { quietLogger as logger } from './support/quiet-logger.js';
import { temporaryFolder } from './support/temporary-folder.js';
import { waitUntil } from './support/wait-until.js';

const run = promisify(execFile);

const start = async (dataFolder: string): Promise<EmbeddedPostgres> => {
  await prepareDataFolder(dataFolder);
  const database = await startEmbeddedPostgres({ dataFolder, logger });
  onTestFinished(() => database.stop());
  return database;
};

const open = (url: string): pg.Pool => {
  const pool = createPool({ url }, { max: 4, onError: () => undefined });
  onTestFinished(() => pool.end());
  return pool;
};

const entry = { at: new Date(0), actor: { name: 'ann', origin: 'cli' }, action: 'run.promote', subject: 'web-1' };

/** What somebody tries who has pipit's own connection. */
const ATTACKS = [
  `update pipit.audit set actor = 'mallory'`,
  'delete from pipit.audit',
  'truncate pipit.audit',
  'drop table pipit.audit',
  'drop schema pipit cascade',
  'alter table pipit.audit disable trigger all',
  'drop trigger audit_append_only on pipit.audit',
  'alter table pipit.audit owner to pipit',
  'alter table pipit.audit rename to old',
  'alter table pipit.audit add column x text',
  `create or replace function pipit.audit_is_append_only() returns trigger language plpgsql as 'begin return new; end'`,
  'create rule r as on insert to pipit.audit do instead nothing',
  `create trigger t before insert on pipit.audit for each row execute function pipit.audit_is_append_only()`,
  `set session_replication_role = 'replica'`,
  'set role pipit_owner',
  'set session authorization pipit_owner',
  'alter role pipit superuser',
  'create role other superuser',
  'alter default privileges for role pipit_owner grant all on tables to pipit',
  'reassign owned by pipit_owner to pipit',
  'create table pipit.x ()',
  'create schema x',
  'create extension pg_surgery',
  `copy pipit.audit from program 'true'`,
  `select pg_read_file('/etc/passwd')`,
  `insert into pipit.audit select sequence, at, 'mallory', origin, action, subject, detail, previous_hash, hash from pipit.audit
    on conflict (sequence) do update set actor = excluded.actor`,
  `merge into pipit.audit using (select 1) s on true when matched then update set actor = 'mallory'`,
  `update pipit.kysely_migration set name = 'x'`,
  `alter system set session_preload_libraries = 'x'`,
  `update pg_class set relowner = 1`,
];

describe("pipit's own role in the embedded database", () => {
  it('can do its work, and can read the audit trail and add to it, and nothing else with it', async () => {
    const database = await start(join(await temporaryFolder(), 'data'));
    const pool = open(database.url);
    await prepareRecords({ pool, ownerUrl: database.ownerUrl });
    // Again, as at each start.
    await prepareRecords({ pool, ownerUrl: database.ownerUrl });
    const records = createPostgresRecords({ pool, exclusivePool: pool });
    await records.transaction((transaction) => appendAudit(transaction, entry, entry));
    await records.transaction(async (transaction) => {
      await transaction.insert('settings', { name: 'a', value: 1 });
      await transaction.update('settings', { name: 'a' }, { value: 2 });
      await transaction.remove('settings', { name: 'a' });
    });
    for (const attack of ATTACKS)
      await expect(pool.query(attack), attack).rejects.toThrow(/permission|must be|denied|owner|superuser|not allowed/i);
    const rows = await records.list('audit');
    expect(rows).toHaveLength(2);
    expect(findBrokenAudit(rows)).toBeUndefined();
    expect(await readAuditRights(pool)).toEqual({ role: 'pipit', excess: [] });
    expect(await readAuditRights(open(database.ownerUrl))).toEqual({ role: 'pipit_owner', excess: ['superuser'] });
  }, 60_000);

  it('is named by its rights where it has too many', async () => {
    const database = await start(join(await temporaryFolder(), 'data'));
    const owner = open(database.ownerUrl);
    const pool = open(database.url);
    await prepareRecords({ pool, ownerUrl: database.ownerUrl });
    await owner.query('grant update, truncate on pipit.audit to pipit');
    expect(await readAuditRights(pool)).toEqual({ role: 'pipit', excess: ['update', 'truncate'] });
    await prepareRecords({ pool, ownerUrl: database.ownerUrl });
    expect(await readAuditRights(pool)).toEqual({ role: 'pipit', excess: [] });
    await owner.query('alter table pipit.audit owner to pipit');
    expect(await readAuditRights(pool)).toEqual({ role: 'pipit', excess: ['owner of the audit trail'] });
  }, 60_000);
});

/** A cluster as an earlier pipit made it, and left it running: its role is the superuser, and everybody who reaches the socket is let in. */
const leaveEarlier = async (dataFolder: string): Promise<void> => {
  await prepareDataFolder(dataFolder);
  const folder = join(dataFolder, 'postgres');
  const cluster = join(folder, 'data');
  const user = await serverUser(cluster);
  const as = user ?? {};
  const binaries = await findServerBinaries({ user, sharedFolder: '/var/cache/pipit' });
  if (user !== undefined) await run('chown', [`${user.uid}:${user.gid}`, folder]);
  const init = ['--pgdata', cluster, '--username', 'pipit', '--auth', 'trust', '--encoding', 'UTF8', '--locale', 'C', '--no-instructions'];
  await run(binaries.initdb, init, as);
  const server = spawn(binaries.postgres, ['-D', cluster, '-c', `unix_socket_directories=${folder}`, '-c', 'listen_addresses='], {
    ...as,
    stdio: 'ignore',
  });
  onTestFinished(() => void server.kill('SIGQUIT'));
  const urlOf = (database: string): string => `postgresql://pipit@localhost/${database}?host=${encodeURIComponent(folder)}`;
  await waitUntil('the earlier database', async () => {
    const client = new pg.Client({ connectionString: urlOf('postgres') });
    return client.connect().then(
      () => client.query('create database pipit').then(() => client.end().then(() => true)),
      () => false,
    );
  });
  const pool = createPool({ url: urlOf('pipit') }, { max: 2, onError: () => undefined });
  try {
    await migrateRecords(createKysely(pool));
    await createPostgresRecords({ pool, exclusivePool: pool }).transaction((transaction) => appendAudit(transaction, entry));
  } finally {
    await pool.end();
  }
};

describe('a cluster of an earlier pipit', () => {
  it('is divided into owner and role at the next start, and keeps what it has', async () => {
    const dataFolder = join(await temporaryFolder(), 'data');
    await leaveEarlier(dataFolder);
    const database = await start(dataFolder);
    expect(database.adopted).toBe(false);
    const owner = open(database.ownerUrl);
    const roles = await owner.query("select rolname, rolsuper from pg_roles where rolname !~ '^pg_' order by rolname");
    expect(roles.rows).toEqual([
      { rolname: 'pipit', rolsuper: false },
      { rolname: 'pipit_owner', rolsuper: true },
    ]);
    const pool = open(database.url);
    await prepareRecords({ pool, ownerUrl: database.ownerUrl });
    expect(await readAuditRights(pool)).toEqual({ role: 'pipit', excess: [] });
    const records = createPostgresRecords({ pool, exclusivePool: pool });
    await records.transaction((transaction) => appendAudit(transaction, entry));
    const rows = await records.list('audit');
    expect(rows).toHaveLength(2);
    expect(findBrokenAudit(rows)).toBeUndefined();
    await database.stop();
    const again = open((await start(dataFolder)).url);
    expect(await createPostgresRecords({ pool: again, exclusivePool: again }).list('audit')).toEqual(rows);
  }, 90_000);

  it.runIf(process.getuid?.() === 0)(
    'lets in only the users that it is told of, whoever reaches the socket',
    async () => {
      const database = await start(join(await temporaryFolder(), 'data'));
      const { socketFolder } = database;
      await run('chmod', ['-R', 'a+rwx', socketFolder]);
      await run('chmod', ['a+x', join(socketFolder, '..')]);
      const script = `import('${new URL(import.meta.resolve('pg')).href}').then(async ({ default: pg }) => {
      const client = new pg.Client({ host: process.argv[1], user: process.argv[2], database: 'pipit' });
      await client.connect().then(() => console.log('in'), (error) => console.log(error.message)); await client.end(); })`;
      for (const role of ['pipit', 'pipit_owner', 'postgres']) {
        const asNobody = [
          '--reuid=65534',
          '--regid=65534',
          '--clear-groups',
          process.execPath,
          '--input-type=module',
          '-e',
          script,
          socketFolder,
          role,
        ];
        const { stdout } = await run('setpriv', asNobody).catch((error: { stdout: string }) => error);
        expect(stdout).toMatch(/peer authentication failed|no pg_hba.conf entry/i);
      }
    },
    60_000,
  );
});

it('refuses a database that cannot keep every text', async () => {
  const database = await start(join(await temporaryFolder(), 'data'));
  const owner = open(database.ownerUrl);
  await owner.query("create database latin encoding 'LATIN1' locale_provider libc locale 'C' template template0");
  const url = database.ownerUrl.replace('/pipit?', '/latin?');
  await expect(prepareRecords({ pool: open(url), ownerUrl: undefined })).rejects.toMatchObject({ code: 'DATABASE_ENCODING' });
}, 60_000);
