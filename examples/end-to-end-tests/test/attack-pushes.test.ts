import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hookRequest, post, sign } from './support/deliver.js';
import { APP, createInstallation, type Installation } from './support/installation.js';
import { sampleApp } from './support/sample-app.js';

const TEST_TIMEOUT_MS = 180_000;
const MAIN = 'refs/heads/main';
const STUCK = 'stuck';

let installation: Installation;

beforeAll(async () => {
  installation = await createInstallation({ rings: [{ name: 'canary' }], hosts: { web1: 'canary' }, otherApps: [STUCK] });
  await installation.start();
}, TEST_TIMEOUT_MS);
afterAll(() => installation?.remove());

const push = (content: string): Promise<string> => installation.developer.push({ ...sampleApp(installation.counter), content });
const randomCommit = (): string => randomBytes(20).toString('hex');

const runsOf = async (sha: string): Promise<readonly string[]> =>
  (await installation.query(`select id from runs where sha = $1 and outcome is distinct from 'stale' order by number`, [sha])).map(
    ({ id }) => String(id),
  );

const waitForRuns = (sha: string, count: number): Promise<void> =>
  expect.poll(async () => (await runsOf(sha)).length, { timeout: 60_000, interval: 200 }).toBe(count);

/** A signed report of a push that the repository's own hook did not make. */
const report = (repository: string, after: string) => {
  const id = randomUUID();
  const body = JSON.stringify({ repository: { name: repository }, ref: MAIN, before: '0'.repeat(40), after, delivery: id });
  const headers = { 'content-type': 'application/json', 'x-pipit-delivery': id, 'x-pipit-signature-256': sign(body) };
  return post(installation, { method: 'POST', headers, body });
};

describe('a push', () => {
  it(
    'is delivered each time that the branch moves the same way',
    async () => {
      const one = await push('one\n');
      await waitForRuns(one, 1);
      const other = await push('other\n');
      await waitForRuns(other, 1);
      await installation.developer.git('push', '--force', 'origin', `${one}:main`);
      await waitForRuns(one, 2);
      await installation.developer.git('push', '--force', 'origin', `${other}:main`);
      await waitForRuns(other, 2);
      const [, last] = await runsOf(other);
      await installation.waitForRun(other, 'it has ended', (run) => run.id === last || run.state === 'ended');
      await expect
        .poll(async () => (await installation.query('select outcome from runs where id = $1', [last]))[0]?.outcome, { timeout: 90_000 })
        .toBe('succeeded');
    },
    TEST_TIMEOUT_MS,
  );

  it('is one event, under however many ids somebody sends what was signed once', async () => {
    const request = hookRequest({ after: randomCommit() });
    const first = await post(installation, request);
    expect(first.status).toBe(202);
    const again = await post(installation, { ...request, headers: { ...request.headers, 'x-pipit-delivery': randomUUID() } });
    expect([again.status, again.body.error?.code]).toEqual([400, 'LOCAL_DELIVERY_WRONG']);
    // A sender that puts no id into the body.
    const body = JSON.stringify({ repository: { name: APP }, ref: 'refs/heads/other', before: '0'.repeat(40), after: randomCommit() });
    const headers = { 'content-type': 'application/json', 'x-pipit-signature-256': sign(body) };
    const send = () => post(installation, { method: 'POST', headers: { ...headers, 'x-pipit-delivery': randomUUID() }, body });
    const answers = [await send(), await send(), await send()];
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
    expect(new Set(answers.flatMap((answer) => answer.body.eventIds)).size).toBe(1);
  });
});

describe('an app whose repository hangs', () => {
  it(
    'delays no other app, with however many of its events pending, over a restart too',
    async () => {
      const repository = join(installation.folder, `${STUCK}.git`);
      // Whatever reads the refs waits for somebody to write into the pipe.
      await rename(repository, `${repository}.away`);
      await mkdir(join(repository, 'objects'), { recursive: true });
      await mkdir(join(repository, 'refs'));
      await execa('sh', ['-c', `cp "$1".away/HEAD "$1".away/config "$1"; mkfifo "$1/packed-refs"`, 'sh', repository]);
      try {
        const answers = await Promise.all(Array.from({ length: 30 }, () => report(STUCK, randomCommit())));
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
        const before = await push('beside\n');
        await installation.waitForRun(before, 'it has ended', (run) => run.state === 'ended', 60_000);
        await installation.server().stop();
        await installation.start();
        const after = await push('behind\n');
        await installation.waitForRun(after, 'it has ended', (run) => run.state === 'ended', 60_000);
        const pending = await installation.query(
          `select id from events where state = 'received' and body->'event'->'repository'->>'name' = $1`,
          [STUCK],
        );
        expect(pending.length).toBe(30);
      } finally {
        await rm(repository, { recursive: true, force: true });
        await rename(`${repository}.away`, repository);
      }
    },
    TEST_TIMEOUT_MS,
  );
});

describe('a fault of the outside that passes', () => {
  it(
    'makes the run wait, with the reason, and go on by itself',
    async () => {
      const inventory = join(installation.folder, 'inventory.yaml');
      const whole = await readFile(inventory, 'utf8');
      await writeFile(inventory, `${whole}  web9: { address: `);
      const sha = await push('while the inventory is being saved\n');
      const waiting = await installation.waitForRun(sha, 'it waits', (run) => run.waiting_for === 'outside', 90_000);
      expect(waiting).toMatchObject({ state: 'waiting', reason: expect.stringContaining(inventory) });
      await writeFile(inventory, whole);
      expect(await installation.waitForRun(sha, 'it has ended', (run) => run.state === 'ended', 90_000)).toMatchObject({
        outcome: 'succeeded',
      });
    },
    TEST_TIMEOUT_MS,
  );
});
