// What `pipit serve` takes when nothing happens, and how long it takes to be ready.
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from './support/folder.mjs';
import { findPort, prepareServer, startServer } from './support/pipit-server.mjs';
import { aim, heading, note, table } from './support/report.mjs';
import { median } from './support/statistics.mjs';

const quick = process.argv.includes('--quick');
const STARTS = quick ? 2 : 7;
const SETTLE_MS = quick ? 1_000 : 10_000;
const IDLE_MS = quick ? 3_000 : 30_000;

heading(
  'idle',
  `  The real \`pipit serve\` with its embedded database, as \`pipit init\` leaves it. Memory: PSS from smaps_rollup after ${(SETTLE_MS + IDLE_MS) / 1000} s without work; what pages are
  shared with other programs of this machine count in part, so RSS, which counts them whole, stands beside. Warm start: the data folder is there.`,
);

const memoryOf = (pids) => {
  const read = (pid, name) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
  const sum = (name) => pids.reduce((total, pid) => total + read(pid, name), 0) / 1024;
  return { pss: sum('Pss'), rss: sum('Rss') };
};

const TICKS = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
const fieldsOf = (pid) =>
  readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
/** Fields 14 and 15 of proc(5), counted from the state; 16 and 17 are of children that have ended. Nothing for a process that has just ended itself. */
const cpuMsOf = (pids) => {
  const ticks = pids.map((pid) => {
    try {
      const fields = fieldsOf(pid);
      return [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
    } catch {
      return 0;
    }
  });
  return (ticks.reduce((sum, each) => sum + each, 0) / TICKS) * 1000;
};

const processesOfDatabase = (dataFolder) => {
  const postmaster = Number(readFileSync(join(dataFolder, 'postgres', 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
  const parentOf = (pid) => {
    try {
      return Number(fieldsOf(pid)[1]);
    } catch {
      return undefined; // it has just ended
    }
  };
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(Number(name)) === postmaster);
  return [postmaster, ...children.map(Number)];
};

const { folder, remove } = makeFolder();
let server;
try {
  const port = await findPort();
  prepareServer(folder, port);
  server = await startServer(folder, port);
  const cold = server.readyMs;
  await server.stop();

  const starts = { ready: [], started: [], node: [] };
  for (let index = 0; index < STARTS; index += 1) {
    const from = performance.now();
    spawnSync(process.execPath, ['-e', '0']);
    starts.node.push(performance.now() - from);
    server = await startServer(folder, port);
    starts.ready.push(server.readyMs);
    starts.started.push(server.startedMs);
    if (index < STARTS - 1) await server.stop();
  }

  await sleep(SETTLE_MS);
  const database = processesOfDatabase(server.folder);
  const before = { pipit: cpuMsOf([server.pid]), database: cpuMsOf(database) };
  await sleep(IDLE_MS);
  const after = { pipit: cpuMsOf([server.pid]), database: cpuMsOf(processesOfDatabase(server.folder)) };
  const memory = { pipit: memoryOf([server.pid]), database: memoryOf(processesOfDatabase(server.folder)) };
  const share = (name) => ((after[name] - before[name]) / IDLE_MS) * 100;
  table(
    ['idle', 'PSS MB', 'RSS MB', 'CPU %'],
    [
      ['pipit serve', memory.pipit.pss, memory.pipit.rss, share('pipit')],
      [`its database, ${database.length} processes`, memory.database.pss, memory.database.rss, share('database')],
    ],
  );
  table(
    ['start, ms', 'median'],
    [
      ['node -e 0, beside', median(starts.node)],
      ['warm, until /readyz says 200', median(starts.ready)],
      ['warm, until everything runs', median(starts.started)],
      ['first one on this folder (initdb included), until /readyz says 200', cold],
    ],
  );
  note(`A warm start takes ${(median(starts.ready) / median(starts.node)).toFixed(1)} times as long as starting Node alone.`);
  aim('memory of pipit serve', memory.pipit.pss, ' MB', { atMost: 150 });
  aim('memory of its database', memory.database.pss, ' MB', { atMost: 50 });
  aim('warm start', median(starts.ready) / 1000, ' s', { atMost: 2 });
} finally {
  await server?.stop();
  remove();
}
