// npm run fuzz -- --requests 200000 --seed 1: requests of every kind over every route of a real `pipit serve`, with and without tokens. Ends with 1 when an
// answer was a 5xx that is not documented, the server's event loop stood still for a second, or the audit trail is broken.
import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createRandom } from './random.mjs';
import { listRoutes, makeRequest } from './requests.mjs';
import { closeConnections, send } from './send.mjs';
import { startServer } from './server.mjs';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '200000' },
    seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    'max-delay': { type: 'string', default: '1' },
    concurrency: { type: 'string', default: '16' },
    program: { type: 'string', default: fileURLToPath(new URL('../../../packages/cli/dist/main.js', import.meta.url)) },
  },
});
const total = Number(values.requests);
const seed = Number(values.seed);
/** A server that is full, and says so. */
const ALLOWED_503 = /"code":"(?:STREAMS_FULL|HOOK_BODIES_BUSY)"/;
const maxDelaySeconds = Number(values['max-delay']);
const SCRAPE_EVERY_MS = 500;
const MAX_SHOWN = 20;

if (!existsSync(values.program)) {
  console.error(`${values.program} is not there: npm run build`);
  process.exit(2);
}

const failures = [];
let failed = 0;
const fail = (what) => {
  failed += 1;
  if (failures.length < MAX_SHOWN) failures.push(what);
};
const describe = ({ raw, method, path, headers, body }) =>
  raw === undefined
    ? `${method} ${path} ${JSON.stringify(headers)} ${body === undefined ? '' : body.subarray(0, 300).toString('latin1')}`
    : JSON.stringify(raw.toString('latin1'));

console.error(`fuzz: ${total} requests, seed ${seed}`);
const server = await startServer(values.program);
const statuses = {};
let worstDelay = 0;
const noteDelay = (text) => {
  const seconds = Number(/pipit_event_loop_lag_seconds\{quantile="1"\} (\S+)/.exec(text)?.[1] ?? 0);
  if (seconds > worstDelay) worstDelay = seconds;
};
const began = performance.now();
let exit;
try {
  const tokens = {};
  for (const preset of ['read', 'deliver', 'admin'])
    tokens[preset] = (await server.pipit('token', 'create', `fuzz-${preset}`, '--preset', preset)).token;
  const bearer = { authorization: `Bearer ${tokens.admin}` };
  const document = await (await fetch(`http://127.0.0.1:${server.port}/openapi.json`, { headers: bearer })).json();
  const known = {
    any: ['shop', 'app', 'canary', 'x'],
    app: ['shop'],
    instance: ['local', 'local', 'nobody'],
    repository: [server.repository, 'shop', `https://example.invalid/${server.repository}`],
    ref: ['main', 'refs/heads/main'],
    limit: ['1', '50', '200'],
    state: ['active', 'waiting', 'ended'],
    ring: ['canary', 'production'],
    preset: ['read', 'deliver', 'admin'],
    reason: ['because'],
    before: ['2026-01-01T00:00:00.000Z', '100', '019ac0de-0000-7000-8000-000000000000'],
  };
  const context = { routes: listRoutes(document), tokens, known, secret: server.secret };
  const random = createRandom(seed);
  const scrape = async () => {
    const answer = await send(server.port, { from: '127.0.0.1', method: 'GET', path: '/metrics', headers: bearer });
    noteDelay(answer.text);
  };
  await scrape();
  worstDelay = 0;
  const scraping = setInterval(() => void scrape(), SCRAPE_EVERY_MS);
  let made = 0;
  const work = async () => {
    while (made < total && !server.hasEnded()) {
      made += 1;
      const number = made;
      const request = makeRequest(random, context);
      const answer = await send(server.port, request);
      // A scrape begins the measurement again, whoever makes it.
      noteDelay(answer.text);
      const { status, text, hangs } = answer;
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (hangs) fail(`request ${number} was not answered: ${describe(request)}`);
      if (status >= 500 && !(status === 503 && (ALLOWED_503.test(text) || request.path?.startsWith('/readyz'))))
        fail(`request ${number} was answered ${status}: ${describe(request)}\n    ${text.slice(-300)}`);
      if (number % 10_000 === 0)
        console.error(`fuzz: ${number} of ${total}, ${Math.round((number / (performance.now() - began)) * 1000)} a second`);
    }
  };
  await Promise.all(Array.from({ length: Number(values.concurrency) }, work));
  clearInterval(scraping);
  await scrape();
  closeConnections();
  if (server.hasEnded()) fail('pipit serve ended');
  if (worstDelay >= maxDelaySeconds) fail(`the event loop stood still for ${worstDelay} s`);
  for (const line of server.errors) fail(`the log has: ${line.slice(0, 600)}`);
  const audit = await server.pipit('audit', '--verify').catch((error) => ({ ok: false, error: String(error.message).slice(0, 400) }));
  if (audit.ok !== true) fail(`the audit trail is broken: ${JSON.stringify(audit)}`);
  exit = await server.stop();
  if (exit !== 0) fail(`pipit serve ended with ${exit}`);
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  console.log(
    JSON.stringify(
      {
        ok: failed === 0,
        seed,
        requests: made,
        seconds,
        statuses,
        routes: context.routes.length,
        worstDelaySeconds: worstDelay,
        auditLines: audit.lines,
        failed,
        failures,
      },
      null,
      2,
    ),
  );
} finally {
  await server.stop();
  server.remove();
}
process.exitCode = failed === 0 ? 0 : 1;
