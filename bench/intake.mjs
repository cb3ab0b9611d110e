// Durable webhooks: pipit's POST /hooks/<instance> beside a server that stores nothing, and beside what the database commits.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startChild } from './support/child.mjs';
import { startDatabase } from './support/database.mjs';
import { makeFolder } from './support/folder.mjs';
import { findPort, prepareServer, REPOSITORY, SECRET, startServer } from './support/pipit-server.mjs';
import { aim, heading, note, table } from './support/report.mjs';
import { median, percentile } from './support/statistics.mjs';

const quick = process.argv.includes('--quick');
const CLIENTS = 32;
const ROUNDS = quick ? 2 : 5;
const COUNT = quick
  ? { pipit: 500, bare: 2_000, least: 2_000, commits: 300 }
  : { pipit: 3_000, bare: 10_000, least: 10_000, commits: 2_000 };
const PER_SECOND = 100;
const OPEN_SECONDS = quick ? 3 : 15;
const OPEN_ROUNDS = quick ? 1 : 3;

heading(
  'intake',
  `  Signed webhooks made durable (event and audit line in PostgreSQL, fsync) before 202, from a load process of its own; each delivery is unique.
  They tell of pushes to branches that no pipeline wants, so that what follows is one update an event and neither git nor a run: that update is
  made beside, at the cost of the same process and database.
  Bare: fastify + HMAC + JSON.parse, storing nothing. Least: the same, storing an event and an audit line by one statement for all that wait.
  Commits: one insert a transaction, fsync, on the same kind of database.`,
);

const { folder, remove } = makeFolder();
const closers = [remove];
try {
  const port = await findPort();
  prepareServer(join(folder, 'server'), port);
  const server = await startServer(join(folder, 'server'), port);
  closers.unshift(() => server.stop());
  const bare = startChild('intake-bare.mjs', { secret: SECRET });
  closers.unshift(() => bare.stop());
  const load = startChild('intake-load.mjs');
  closers.unshift(() => load.stop());
  // One of its own: pipit's connections and the clients' together would be more than one embedded database allows.
  const database = await startDatabase(join(folder, 'database'));
  closers.unshift(() => database.stop());
  const least = startChild('intake-bare.mjs', { secret: SECRET, databaseUrl: database.url });
  closers.unshift(() => least.stop());
  const pool = new pg.Pool({ connectionString: database.url, max: CLIENTS });
  closers.unshift(() => pool.end());
  await pool.query('create table commits (id text primary key, body jsonb not null)');

  const commits = async (connections) => {
    let left = COUNT.commits;
    const body = JSON.stringify({ ref: `refs/heads/${randomUUID()}`, repository: REPOSITORY });
    const clients = await Promise.all(Array.from({ length: connections }, () => pool.connect()));
    const from = performance.now();
    await Promise.all(
      clients.map(async (client) => {
        while (left > 0) {
          left -= 1;
          await client.query('insert into commits values ($1, $2)', [randomUUID(), body]);
        }
      }),
    );
    const elapsedMs = performance.now() - from;
    for (const client of clients) client.release();
    return (COUNT.commits / elapsedMs) * 1000;
  };

  const path = '/hooks/local';
  const targets = {
    pipit: { port, path, repository: REPOSITORY, secret: SECRET },
    bare: { port: await bare.ask({}), path, repository: REPOSITORY, secret: SECRET },
    least: { port: await least.ask({}), path, repository: REPOSITORY, secret: SECRET },
  };

  /** Until every accepted event is handled: the next measurement begins at rest. */
  const settle = async () => {
    for (;;) {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      if (/^pipit_events_pending 0$/m.test(text)) return;
      await sleep(100);
    }
  };

  const closed = async (name) => {
    const count = COUNT[name];
    const { elapsedMs, times, distinct } = await load.ask({ type: 'closed', target: targets[name], clients: CLIENTS, count });
    if (distinct !== count) throw new Error(`${count} deliveries to ${name} gave ${distinct} event ids`);
    return { perSecond: (count / elapsedMs) * 1000, p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
  };

  const rates = { pipit: [], bare: [], least: [], one: [], many: [] };
  const settleMs = [];
  await load.ask({ type: 'closed', target: targets.pipit, clients: CLIENTS, count: 200 });
  for (const name of ['bare', 'least']) await load.ask({ type: 'closed', target: targets[name], clients: CLIENTS, count: 2_000 });
  await settle();
  for (let round = 0; round < ROUNDS; round += 1) {
    rates.bare.push(await closed('bare'));
    rates.least.push(await closed('least'));
    rates.one.push({ perSecond: await commits(1) });
    rates.many.push({ perSecond: await commits(CLIENTS) });
    rates.pipit.push(await closed('pipit'));
    const from = performance.now();
    await settle();
    settleMs.push(performance.now() - from);
  }
  const of = (name, key) => median(rates[name].map((each) => each[key]));
  table(
    ['closed loop', 'per second', 'p50 ms', 'p99 ms', 'pipit is x times it'],
    [
      [`pipit, ${CLIENTS} clients`, of('pipit', 'perSecond'), of('pipit', 'p50'), of('pipit', 'p99'), 1],
      [
        `bare fastify + HMAC, ${CLIENTS} clients`,
        of('bare', 'perSecond'),
        of('bare', 'p50'),
        of('bare', 'p99'),
        of('pipit', 'perSecond') / of('bare', 'perSecond'),
      ],
      [
        `the least that storing costs, ${CLIENTS} clients`,
        of('least', 'perSecond'),
        of('least', 'p50'),
        of('least', 'p99'),
        of('pipit', 'perSecond') / of('least', 'perSecond'),
      ],
      ['single-row commits, 1 connection', of('one', 'perSecond'), '', '', of('pipit', 'perSecond') / of('one', 'perSecond')],
      [`single-row commits, ${CLIENTS} connections`, of('many', 'perSecond'), '', '', of('pipit', 'perSecond') / of('many', 'perSecond')],
    ],
  );
  note(`Handling what was accepted took ${median(settleMs).toFixed(0)} ms more after a round of ${COUNT.pipit}.`);
  console.log('');

  const open = { pipit: [], bare: [] };
  for (let round = 0; round < OPEN_ROUNDS; round += 1)
    for (const name of ['bare', 'pipit']) {
      const { times } = await load.ask({ type: 'open', target: targets[name], perSecond: PER_SECOND, count: PER_SECOND * OPEN_SECONDS });
      open[name].push({ p50: percentile(times, 0.5), p99: percentile(times, 0.99), worst: Math.max(...times) });
    }
  await settle();
  const ofOpen = (name, key) => median(open[name].map((each) => each[key]));
  table(
    [`open loop, ${PER_SECOND} a second`, 'p50 ms', 'p99 ms', 'longest ms'],
    ['pipit', 'bare'].map((name) => [name, ofOpen(name, 'p50'), ofOpen(name, 'p99'), ofOpen(name, 'worst')]),
  );
  aim(`p99 at ${PER_SECOND} a second`, ofOpen('pipit', 'p99'), ' ms', { atMost: 100 });
  note(`The least that storing costs accepts ${(of('least', 'perSecond') / of('bare', 'perSecond')).toFixed(2)}x of bare.`);
  aim('accepts a second, of bare', of('pipit', 'perSecond') / of('bare', 'perSecond'), 'x', { atLeast: 0.5 });
} finally {
  for (const close of closers) await close();
}
