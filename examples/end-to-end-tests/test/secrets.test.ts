import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sign } from './support/deliver.js';
import { APP, createInstallation, type Installation, WEBHOOK_SECRET } from './support/installation.js';
import { sampleApp } from './support/sample-app.js';

const TEST_TIMEOUT_MS = 180_000;

let installation: Installation;

beforeAll(async () => {
  installation = await createInstallation({
    rings: [{ name: 'canary' }, { name: 'production' }],
    hosts: { web1: 'canary', web2: 'production' },
  });
  await installation.start();
}, TEST_TIMEOUT_MS);
afterAll(() => installation?.remove());

const waitForEnd = (sha: string) => installation.waitForRun(sha, 'it has ended', (run) => run.state === 'ended', 120_000);

/** Every row of every table, DBOS's own included, as text. */
const dumpDatabase = async (): Promise<string> => {
  const tables = await installation.query(
    `select table_schema, table_name from information_schema.tables where table_schema not in ('pg_catalog', 'information_schema')`,
  );
  expect(tables.length).toBeGreaterThan(20);
  const texts: string[] = [];
  for (const { table_schema: schema, table_name: name } of tables)
    for (const { text } of await installation.query(`select t::text as text from "${String(schema)}"."${String(name)}" t`))
      texts.push(String(text));
  return texts.join('\n');
};

const readAll = async (api: ReturnType<Installation['api']>): Promise<string> => {
  const runs = await api.listRuns({ limit: 50 });
  const events = await api.listEvents({ limit: 50 });
  const answers = [
    await api.listApps(),
    runs,
    events,
    await api.listAudit({ limit: 200 }),
    await api.listReleases({ app: APP }),
    await api.listHosts({ app: APP }),
    await api.doctor(),
    ...(await Promise.all(runs.rows.flatMap((run) => [api.showRun(run.id), api.readLog({ runId: run.id })]))),
    ...(await Promise.all(events.rows.map((event) => api.showEvent(event.id)))),
  ];
  const pages = ['/healthz', '/readyz', '/metrics', '/openapi.json'];
  const bodies = await Promise.all(
    pages.map(async (page) =>
      (await fetch(`${installation.url}${page}`, { headers: { authorization: `Bearer ${installation.token()}` } })).text(),
    ),
  );
  return [...answers.map((answer) => JSON.stringify(answer)), ...bodies].join('\n');
};

it(
  'keeps the webhook secret and the API token out of logs, errors, records and answers, even when a script prints one',
  async () => {
    const token = installation.token();
    expect(token).toMatch(/^pipit_.{40,}/);
    // A developer who put the secret into a script, a build that fails with it, and a host on which an install does.
    const [half, rest] = [WEBHOOK_SECRET.slice(0, 25), WEBHOOK_SECRET.slice(25)];
    const colours = `printf '${half}\\033[31m${rest}\\n'`;
    const hex = `printf %s ${WEBHOOK_SECRET} | od -An -tx1`;
    const script = [
      '#!/bin/sh',
      `echo the secret is ${WEBHOOK_SECRET}`,
      `printf %s ${WEBHOOK_SECRET} | base64 --wrap 20`,
      // Long enough for the log to be read in between.
      `echo; printf 'in pieces: ${half}'; sleep 1.5; echo '${rest}'`,
      hex,
      colours,
    ];
    const leaky = { 'script/cibuild': `${script.join('\n')}\n` };
    const good = await installation.developer.push({ ...sampleApp(installation.counter), ...leaky });
    const run = await installation.waitForRun(good, 'it waits', (each) => each.waiting_for === 'promotion', 120_000);
    await installation.api().promote({ app: APP, reason: `approved with ${WEBHOOK_SECRET}` });
    await waitForEnd(good);
    const failing = { 'script/post-inst': `#!/bin/sh\necho E: ${WEBHOOK_SECRET} is wrong >&2\nexit 1\n` };
    const bad = await installation.developer.push({ ...sampleApp(installation.counter), ...failing });
    expect(await waitForEnd(bad)).toMatchObject({ outcome: 'rolled-back' });
    // Requests that carry them where they do not belong.
    const hook = `${installation.url}/hooks/local`;
    const body = `{"repository": "${WEBHOOK_SECRET}"}`;
    const headers = { 'content-type': 'application/json', 'x-pipit-delivery': 'aaaaaaaaaaaaaaaaaaaa', 'x-pipit-signature-256': sign(body) };
    expect((await fetch(hook, { method: 'POST', headers, body })).status).toBe(400);
    const asked = await fetch(`${installation.url}/api/apps/${APP}/promote`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reason: token, ifCanary: String(run.version) }),
    });
    const refused = await asked.text();

    const everything = {
      log: installation.server().log(),
      database: await dumpDatabase(),
      answers: await readAll(installation.api()),
      refused,
    };
    // What was looked through is what it seems.
    expect(everything.log).toContain('Listening');
    expect(everything.database).toContain('the secret is');
    expect(everything.answers).toContain('the secret is');
    const encoded = [Buffer.from(WEBHOOK_SECRET).toString('base64').slice(0, 20), '77 65 62 68 6f 6f 6b 2d'];
    const forms = [half, rest, ...encoded, encodeURIComponent(WEBHOOK_SECRET), token];
    for (const [where, text] of Object.entries(everything))
      for (const form of forms) {
        const at = text.indexOf(form);
        expect(at === -1 ? 'nothing' : `${where}: ${text.slice(Math.max(0, at - 200), at + 20)}`).toBe('nothing');
      }
  },
  TEST_TIMEOUT_MS,
);

it('keeps the API token nowhere but as a hash, and in the file of its user', async () => {
  const found = await execa(
    'grep',
    ['--recursive', '--files-with-matches', '--text', '--fixed-strings', installation.token(), installation.dataFolder],
    {
      reject: false,
    },
  );
  expect(found.stdout).toBe(join(installation.dataFolder, 'token'));
  expect(found.exitCode).toBe(0);
});

it(
  'shows a build nothing of pipit: neither its environment nor its data folder, keys and secret file',
  async () => {
    const look = [
      '#!/bin/bash',
      'env | sort',
      `ls ${installation.folder} ${installation.dataFolder} ${installation.localFolder}/gnupg 2>&1`,
      `cat ${join(installation.folder, 'webhook-secret')} 2>&1`,
      'for p in /proc/[0-9]*; do tr "\\0" "\\n" <$p/environ 2>/dev/null; tr "\\0" " " <$p/cmdline 2>/dev/null; done',
      'exit 1',
    ];
    const sha = await installation.developer.push({ ...sampleApp(installation.counter), 'script/cibuild': `${look.join('\n')}\n` });
    const run = await waitForEnd(sha);
    const log = await installation.api().readLog({ runId: String(run.id) });
    const text = log.operations.flatMap((operation) => operation.pieces.map((piece) => piece.text)).join('');
    expect(text).toContain('PIPIT_COMMIT=');
    expect(text).not.toMatch(/server\.mjs|inventory\.yaml|public\.asc|postgres|\[secret\]/);
    const kept = await readdir(join(installation.localFolder, 'gnupg'));
    expect(kept).toContain('public.asc');
    expect(await readFile(join(installation.folder, 'webhook-secret'), 'utf8')).toContain(WEBHOOK_SECRET);
  },
  TEST_TIMEOUT_MS,
);
