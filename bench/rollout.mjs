// One rollout to many hosts: what it takes beyond the hosts' own time, and how fast it is replayed after a kill.
import { join } from 'node:path';
import { startChild } from './support/child.mjs';
import { startDatabase } from './support/database.mjs';
import { makeFolder } from './support/folder.mjs';
import { aim, heading, table } from './support/report.mjs';
import { median } from './support/statistics.mjs';

const quick = process.argv.includes('--quick');
const HOSTS = quick ? 200 : 1_000;
const LONGEST_MS = 200;
const ROUNDS = quick ? 2 : 5;
const REPLAYS = quick ? 1 : 3;

heading(
  'rollout',
  `  One rollout to ${HOSTS} simulated hosts that install in parallel, each taking 0 to ${LONGEST_MS} ms; looking at all takes ${LONGEST_MS} ms. Everything else is real.
  Above the hosts' own time: the rollout operation from plan to end, less the time from the first host told to the last done.
  Replay: pipit is killed (SIGKILL) just before the operation's end is recorded; the next process goes through it again and ends it.`,
);

const { folder, remove } = makeFolder();
const database = await startDatabase(join(folder, 'database'));
const start = () => startChild('rollout-pipit.mjs', { url: database.url, hosts: HOSTS, longestMs: LONGEST_MS });
let child = start();
let deliveries = 0;
try {
  const next = (type) => {
    deliveries += 1;
    return child.ask({ type, number: deliveries });
  };
  await next('deliver');
  const results = [];
  for (let round = 0; round < ROUNDS; round += 1) results.push(await next('deliver'));
  const replays = [];
  for (let index = 0; index < REPLAYS; index += 1) {
    next('deliver-and-die').catch(() => undefined);
    await child.exited;
    child = start();
    replays.push(await child.ask({ type: 'await-replay' }));
  }
  const of = (rows, key) => median(rows.map((each) => each[key]));
  const above = median(results.map((each) => each.rolloutMs - each.hostMs));
  table(
    ['ms', 'median'],
    [
      ['rollout, plan to end', of(results, 'rolloutMs')],
      ["the hosts' own time in it", of(results, 'hostMs')],
      ["above the hosts' own time", above],
      ...Object.keys(results[0].steps).map((step) => [`  step ${step}, hosts included`, median(results.map((each) => each.steps[step]))]),
      ['replay of the operation', of(replays, 'replayMs')],
      ["  since the engine's start", of(replays, 'sinceStartMs')],
      ['  since the new process began', of(replays, 'sinceImportMs')],
    ],
  );
  aim(`above the hosts' own time, ${HOSTS} hosts`, above / 1000, ' s', { atMost: 5 });
  aim("replay, since the engine's start", of(replays, 'sinceStartMs') / 1000, ' s', { atMost: 1 });
} finally {
  await child.stop();
  await database.stop();
  remove();
}
