import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashAudit } from '@pipit/pipeline';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type AuditCopy, readCopy, readTrail, renderCopy } from '../../../packages/cli/src/audit-copy.js';
import { verifyAudit } from '../../../packages/cli/src/commands/audit.js';
import { query } from './support/database.js';
import { hookRequest, post, sign } from './support/deliver.js';
import { APP, createInstallation, type Installation } from './support/installation.js';
import { expectAuditWhole, readAuditTrail } from './support/left-behind.js';

const TEST_TIMEOUT_MS = 120_000;

let installation: Installation;

beforeAll(async () => {
  installation = await createInstallation({ rings: [{ name: 'canary' }], hosts: { web1: 'canary' }, hook: false });
  await installation.start();
}, TEST_TIMEOUT_MS);
afterAll(() => installation?.remove());

interface Attack {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Uint8Array;
}

/** As it is: fetch would escape or refuse some of it. Returns the status. */
const send = ({ method = 'GET', path, body = '' }: Attack, token: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(installation.url);
    const socket = connect(Number(port), hostname, () => {
      const head = [`${method} ${path} HTTP/1.1`, 'Host: localhost', `Authorization: Bearer ${token}`, 'Connection: close'];
      const type = method === 'GET' ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`];
      socket.write(Buffer.concat([Buffer.from(`${[...head, ...type].join('\r\n')}\r\n\r\n`, 'latin1'), Buffer.from(body as string)]));
    });
    let answer = '';
    socket.on('data', (piece) => {
      answer += piece.toString('latin1');
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0)));
  });

const TEXTS = ['%00', 'x%00', '%ed%a0%80', '%c0%80', '%ff'];
const PLACES = [
  '/hooks/X',
  '/hooks/local?X=1',
  '/api/runs/X',
  '/api/events/X',
  '/api/apps/X/hosts',
  '/api/audit?before=X',
  '/X',
  '/api/plan?repository=X&ref=X',
];
const BODIES = ['"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"a\\u0000b\\ud83d"'];
const COMMANDS = [`/api/apps/${APP}/promote`, `/api/apps/${APP}/rollback`, '/api/runs/shop-1/cancel', '/api/reconcile'];

const attacks: readonly Attack[] = [
  ...PLACES.flatMap((place) => TEXTS.map((text) => ({ path: place.replaceAll('X', text) }))),
  { path: '/hooks/\xff' },
  ...TEXTS.map((text) => ({ method: 'POST', path: `/hooks/${text}`, body: '{}' })),
  ...COMMANDS.flatMap((path) => [
    ...BODIES.map((text) => ({ method: 'POST', path, body: `{"reason":${text}}` })),
    { method: 'POST', path, body: Buffer.from('{"reason":"\xed\xa0\x80"}', 'latin1') },
    { method: 'POST', path: path.replace(/shop(-1)?/, '%00'), body: '{"reason":"x\\u0000"}' },
  ]),
];

describe('text that the database cannot store', () => {
  it(
    'is answered 400 at every entry, and leaves the audit trail whole',
    async () => {
      const token = installation.token();
      for (const attack of attacks) expect({ ...attack, status: await send(attack, token) }).toEqual({ ...attack, status: 400 });
      const lines = await readAuditTrail(installation);
      expect(lines.filter(({ action }) => action === 'hook.refuse').length).toBeGreaterThan(3);
      await expectAuditWhole(installation);
    },
    TEST_TIMEOUT_MS,
  );

  it.each([
    ['an author', '"pusher":{"name":"a\\u0000\\ud800"},"author":"a\\u0000\\ud83d"'],
    ['a name of a field', '"a\\u0000":1'],
    ['a branch', '"ref":"refs/heads/\\u0000"'],
    ['a repository', '"repository":{"name":"\\u0000"}'],
  ])('in a signed webhook gives no error of the server and leaves the trail whole: %s', async (_what, field) => {
    const { body } = hookRequest({ after: 'a'.repeat(40) });
    const hostile = body.replace(/\}$/, `,${field}}`);
    const headers = { ...hookRequest({ after: 'a'.repeat(40) }).headers, 'x-pipit-signature-256': sign(hostile) };
    expect((await post(installation, { method: 'POST', headers, body: hostile })).status).toBeLessThan(500);
    await expectAuditWhole(installation);
  });

  it('in the delivery id of a signed webhook is accepted once and keeps the trail whole', async () => {
    const request = hookRequest({ id: 'caf\xe9 \x80', after: 'b'.repeat(40) });
    expect((await post(installation, request)).status).toBeLessThan(500);
    await expectAuditWhole(installation);
  });
});

const publicKey = (): Promise<string> => readFile(join(installation.dataFolder, 'keys/audit-key.pub.pem'), 'utf8');

/** As `pipit audit --verify copy.jsonl --public-key audit-key.pub.pem` does, from nothing but the copy's text. */
const verifyCopy = async (copy: AuditCopy) => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-copy-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'copy.jsonl'), renderCopy(copy).join('\n'));
  return verifyAudit(await readCopy(join(folder, 'copy.jsonl')), { publicKeys: [await publicKey()], heads: [] });
};

/** What somebody does who owns the database: changes a line, and makes every hash behind it again. */
const rewrite = async (subject: string): Promise<void> => {
  const asOwner = (sql: string, values: readonly unknown[] = []) => query(installation.dataFolder, sql, values, 'pipit_owner');
  await asOwner('alter table pipit.audit disable trigger all');
  const rows = await readAuditTrail(installation);
  let previousHash = '0'.repeat(64);
  for (const [index, given] of rows.entries()) {
    const row = { ...given, previousHash, ...(index === 1 ? { subject } : {}) };
    previousHash = hashAudit(row);
    const values = [row.sequence, row.subject, row.previousHash, previousHash];
    await asOwner('update pipit.audit set subject = $2, previous_hash = $3, hash = $4 where sequence = $1', values);
  }
};

describe('the trail of a server that was attacked so', () => {
  it(
    'is signed, and a copy verifies by itself with the public key',
    async () => {
      const stopped = installation.server();
      await stopped.stop();
      expect(stopped.log()).toContain('Audit head');
      await installation.start();
      const copy = await readTrail(installation.api());
      expect(copy.heads.length).toBeGreaterThan(0);
      const { ok, heads } = await verifyCopy(copy);
      expect({ ok, problems: heads.problems }).toEqual({ ok: true, problems: [] });
      expect(heads.signedUpTo).toBeGreaterThan(10);
      expect((await installation.api().doctor()).filter(({ name }) => name.startsWith('audit')).map(({ ok: isOk }) => isOk)).toEqual([
        true,
        true,
      ]);
    },
    TEST_TIMEOUT_MS,
  );

  it.each([
    `update pipit.audit set actor = 'mallory'`,
    'delete from pipit.audit',
    'truncate pipit.audit',
    'delete from pipit.audit_heads',
    `update pipit.audit_heads set hash = 'x'`,
    'drop table pipit.audit',
    'alter table pipit.audit disable trigger all',
    'alter table pipit.audit owner to pipit',
    `set session_replication_role = 'replica'`,
    'alter role pipit superuser',
    'set role pipit_owner',
  ])("cannot be rewritten over a connection with pipit's own role: %s", async (statement) => {
    await expect(installation.query(statement)).rejects.toThrow(/permission denied|must be owner|not allowed/);
  });

  it(
    'is found out, and not signed again, when the superuser of the database rewrites it whole',
    async () => {
      await rewrite('web-666');
      // The chain itself is whole again.
      await expectAuditWhole(installation);
      const verdict = await verifyCopy(await readTrail(installation.api()));
      expect(verdict).toMatchObject({ ok: false, brokenAt: null });
      expect(verdict.heads.problems.join()).toContain('is not the one that its head signs');
      const findings = await installation.api().doctor();
      expect(findings.find(({ name }) => name === 'audit heads')).toMatchObject({ ok: false });
      const [before] = await installation.query('select count(*) from pipit.audit_heads');
      await installation.server().stop();
      await installation.start();
      expect(await installation.query('select count(*) from pipit.audit_heads')).toEqual([before]);
      expect(installation.server().log()).toContain('is not what it was');
    },
    TEST_TIMEOUT_MS,
  );
});
