import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, deliver, hookRequest, post, sign } from './support/deliver.js';
import { createInstallation, type Installation } from './support/installation.js';
import { readAuditTrail } from './support/left-behind.js';
import { sampleApp } from './support/sample-app.js';

const TEST_TIMEOUT_MS = 120_000;
const MAIN = 'refs/heads/main';

let installation: Installation;

beforeAll(async () => {
  installation = await createInstallation({ rings: [{ name: 'canary' }], hosts: { web1: 'canary' }, hook: false });
  await installation.start();
}, TEST_TIMEOUT_MS);
afterAll(() => installation?.remove());

const randomCommit = (): string => randomBytes(20).toString('hex');
const countRuns = async (sha: string): Promise<number> => (await installation.query('select id from runs where sha = $1', [sha])).length;
const eventsOf = (sha: string) => installation.query(`select * from events where body->'event'->>'sha' = $1`, [sha]);
const waitForEnd = (sha: string) => installation.waitForRun(sha, 'it has ended', (run) => run.state === 'ended', 90_000);
const push = (content: string): Promise<string> => installation.developer.push({ ...sampleApp(installation.counter), content });

const waitUntilHandled = async (sha: string, events: number): Promise<void> => {
  await expect
    .poll(async () => (await eventsOf(sha)).map((event) => event.state), { timeout: 60_000 })
    .toEqual(Array.from({ length: events }, () => 'handled'));
};

describe('one push', () => {
  it(
    'starts one run when its delivery comes 50 times at once',
    async () => {
      const sha = await push('parallel\n');
      const id = randomUUID();
      const answers = await Promise.all(Array.from({ length: 50 }, () => deliver(installation, { id, ref: MAIN, after: sha })));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
      expect(new Set(answers.flatMap(({ body }) => body.eventIds)).size).toBe(1);
      expect(answers.filter(({ body }) => body.repeated === false)).toHaveLength(1);
      expect(await waitForEnd(sha)).toMatchObject({ outcome: 'succeeded' });
      // A poll may have told the same push meanwhile.
      expect((await eventsOf(sha)).filter(({ key }) => !String(key).startsWith('poll:'))).toHaveLength(1);
      expect(await countRuns(sha)).toBe(1);
      expect((await deliver(installation, { id, ref: MAIN, after: sha })).body.repeated).toBe(true);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'starts one run when the hook tells it first and then the poll',
    async () => {
      const sha = await push('hook first\n');
      await deliver(installation, { ref: MAIN, after: sha });
      expect(await waitForEnd(sha)).toMatchObject({ outcome: 'succeeded' });
      await installation.server().stop();
      await installation.start(); // polls at once
      await waitUntilHandled(sha, 2);
      expect(await countRuns(sha)).toBe(1);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'starts one run when the poll tells it first and then the hook',
    async () => {
      const [before] = await installation.query(`select sha from heads where ref = $1`, [MAIN]);
      await installation.server().stop();
      const sha = await push('poll first\n');
      await installation.start();
      await installation.waitForRun(sha, 'it is there', () => true);
      await deliver(installation, { ref: MAIN, after: sha, before: String(before?.sha) });
      await waitUntilHandled(sha, 2);
      expect(await waitForEnd(sha)).toMatchObject({ outcome: 'succeeded' });
      expect(await countRuns(sha)).toBe(1);
    },
    TEST_TIMEOUT_MS,
  );

  it(
    'starts nothing when a newer one has overtaken it',
    async () => {
      await installation.server().stop();
      const older = await push('older\n');
      const newer = await push('newer\n');
      await installation.start();
      await waitForEnd(newer);
      await deliver(installation, { ref: MAIN, after: older });
      await waitUntilHandled(older, 1);
      expect(await installation.query('select outcome from runs where sha = $1', [older])).toEqual([{ outcome: 'stale' }]);
    },
    TEST_TIMEOUT_MS,
  );
});

describe('bad input', () => {
  const good = () => hookRequest({ after: randomCommit() });
  const with26MiB = () => {
    const body = Buffer.alloc(26 * 1024 * 1024, ' ');
    return { ...good(), body, headers: { ...good().headers, 'x-pipit-signature-256': sign(body) } };
  };
  const signed = (body: string) => ({ ...good(), body, headers: { ...good().headers, 'x-pipit-signature-256': sign(body) } });
  const without = (header: string) => {
    const request = good();
    return { ...request, headers: Object.fromEntries(Object.entries(request.headers).filter(([name]) => name !== header)) };
  };

  it.each([
    [
      'a bad signature',
      () => ({ ...good(), headers: { ...good().headers, 'x-pipit-signature-256': sign('other') } }),
      401,
      'LOCAL_SIGNATURE_WRONG',
    ],
    ['no signature', () => without('x-pipit-signature-256'), 401, 'LOCAL_SIGNATURE_MISSING'],
    [
      'a wrong content type',
      () => ({ ...good(), headers: { ...good().headers, 'content-type': 'text/plain' } }),
      415,
      'LOCAL_CONTENT_TYPE',
    ],
    [
      'no content type',
      () => ({ ...good(), body: Buffer.from(good().body), headers: without('content-type').headers }),
      415,
      'LOCAL_CONTENT_TYPE',
    ],
    ['no delivery id', () => without('x-pipit-delivery'), 400, 'LOCAL_DELIVERY_MISSING'],
    ['a body of 26 MiB', with26MiB, 413, /TOO_LARGE|TOO_BIG/],
    ['broken JSON', () => signed('{"repository": '), 400, 'LOCAL_BODY_BROKEN'],
    ['JSON of another shape', () => signed('{"repository": "shop"}'), 400, 'LOCAL_BODY_BROKEN'],
    [
      'an unknown repository',
      () => signed(JSON.stringify({ repository: { name: 'elsewhere' }, ref: MAIN, before: randomCommit(), after: randomCommit() })),
      404,
      'LOCAL_REPOSITORY_UNKNOWN',
    ],
  ])('is refused with a code, and leaves nothing but an audit line: %s', async (_what, request, status, code) => {
    const before = await installation.query('select (select count(*) from events) as events, (select count(*) from runs) as runs');
    const lines = (await readAuditTrail(installation)).length;
    const answer = await post(installation, request());
    expect(answer.status).toBe(status);
    expect(answer.body.error?.code).toMatch(code);
    expect(await installation.query('select (select count(*) from events) as events, (select count(*) from runs) as runs')).toEqual(before);
    const added = (await readAuditTrail(installation)).slice(lines);
    expect(added).toMatchObject([
      { action: 'hook.refuse', subject: 'local', origin: '127.0.0.1', detail: { code: answer.body.error?.code } },
    ]);
  });

  it('is refused for an instance that is not there', async () => {
    const response = await fetch(`${installation.url}/hooks/nobody`, { method: 'POST', body: '{}' });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'HOOK_UNKNOWN' } });
  });
});

it(
  'has every delivery that it answered, wherever it is killed after an answer',
  async () => {
    const ROUNDS = 4;
    const SENDERS = 8;
    const answered: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const server = installation.server();
      let answers = 0;
      const send = async (): Promise<void> => {
        while (server.isRunning()) {
          const answer: Answer | undefined = await deliver(installation, { after: randomCommit() }).catch(() => undefined); // cut off by the kill
          if (answer?.status !== 202) continue;
          answered.push(...(answer.body.eventIds ?? []));
          answers += 1;
          // Right behind an answer, while others are being stored.
          if (answers === 10 + 7 * round) await server.kill();
        }
      };
      await Promise.all(Array.from({ length: SENDERS }, send));
      const stored = new Set((await installation.query('select id from events')).map((row) => row.id));
      expect(answered.filter((id) => !stored.has(id))).toEqual([]);
      await installation.start();
    }
    expect(answered.length).toBeGreaterThan(ROUNDS * 10);
    // And each is handled after the restart.
    await expect
      .poll(() => installation.query(`select count(*)::int as open from events where state = 'received'`), { timeout: 60_000 })
      .toEqual([{ open: 0 }]);
  },
  TEST_TIMEOUT_MS,
);
