// Real hosts: the upgrade of a package on twenty of them, and one command over 300 connections, by pipit's ssh plugin and by what else there is.
import { mkdir } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { prepareConnections } from './support/fleet-connections.mjs';
import { fleetUnavailable, installTools, prepareTools } from './support/fleet-tools.mjs';
import { prepareUpgrades } from './support/fleet-upgrade.mjs';
import { makeFolder } from './support/folder.mjs';
import { aim, heading, note, table } from './support/report.mjs';
import { median } from './support/statistics.mjs';

const quick = process.argv.includes('--quick');
const HOSTS = quick ? 6 : 20;
const PER_HOST = 15;
const AT_ONCE = 64;
const ROUNDS = quick ? 2 : 3;
/** Of a machine with two processors. */
const START_AT_ONCE = 4;

heading(
  'fleet',
  `  ${HOSTS} real hosts (systemd, sshd, apt) in namespaces of this machine, which also runs what tells them: both sides share its processors.
  Upgrade: one package of 1 MB, apt's index read anew, all hosts at once; every way in each round, each begins without open connections.
  Connections: \`true\` over ${HOSTS * PER_HOST} connections, ${AT_ONCE} at once.`,
);

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => stop.abort(new Error(`ended by ${name}`)));

const load = () => loadavg()[0].toFixed(1);

const measureUpgrades = async ({ ways, upgrade }) => {
  const results = Object.fromEntries(ways.map((way) => [way, []]));
  await upgrade('pipit');
  for (let round = 0; round < ROUNDS; round += 1)
    for (let turn = 0; turn < ways.length; turn += 1) {
      stop.signal.throwIfAborted();
      const way = ways[(round + turn) % ways.length];
      results[way].push(await upgrade(way));
    }
  const of = (way, key = 'ms') => median(results[way].map((each) => each[key]));
  const names = {
    hosts: "the slowest host's own apt run",
    pipit: "pipit: the ssh deployer's find, start and inspect",
    'pipit with ssh2': 'the same, with `client: ssh2`',
    ansible: 'Ansible: apt module, pipelining',
    clush: 'clustershell: apt-get',
    pssh: 'pssh: apt-get',
  };
  table(
    [`upgrade on ${HOSTS} hosts`, 'ms, median', 'least', 'most', 'of the own run', 'CPU ms a host'],
    ways.map((way) => {
      const times = results[way].map(({ ms }) => ms);
      return [names[way], of(way), Math.min(...times), Math.max(...times), `${(of(way) / of('hosts')).toFixed(2)}x`, of(way, 'cpuMs')];
    }),
  );
  const step = (name) => median(results.pipit.map(({ steps }) => steps[name]));
  note(`pipit: find ${step('find').toFixed(0)} ms, start ${step('start').toFixed(0)} ms, ${step('inspects')} inspects; load ${load()}`);
  for (const way of ['pipit', 'pipit with ssh2']) {
    aim(`${way}, of the slowest host's own apt run`, of(way) / of('hosts'), 'x', { atMost: 1.2 });
    aim(`${way}, times faster than Ansible`, of('ansible') / of(way), 'x', { atLeast: 2 });
  }
};

const measureConnections = async ({ count, pipit, pssh }) => {
  const clients = ['openssh', 'ssh2'];
  const results = { pssh: [] };
  for (const client of clients) for (const state of ['cold', 'warm']) results[`${client}, ${state}`] = [];
  const turns = [
    async () => results.pssh.push(await pssh()),
    ...clients.map((client) => async () => {
      for (const [state, ms] of Object.entries(await pipit(client))) results[`${client}, ${state}`].push(ms);
    }),
  ];
  for (let round = 0; round < ROUNDS; round += 1)
    for (let turn = 0; turn < turns.length; turn += 1) {
      stop.signal.throwIfAborted();
      await turns[(round + turn) % turns.length]();
    }
  const of = (name) => median(results[name]);
  table(
    [`true over ${count} connections`, 'ms, median', 'least', 'most', 'of pssh'],
    Object.entries(results).map(([name, times]) => [
      name === 'pssh' ? name : `pipit's ssh transport, client: ${name}`,
      of(name),
      Math.min(...times),
      Math.max(...times),
      `${(of(name) / of('pssh')).toFixed(2)}x`,
    ]),
  );
  note(`load ${load()}`);
  for (const client of clients) {
    aim(`${client}, cold, of pssh`, of(`${client}, cold`) / of('pssh'), 'x', { atMost: 1.1 });
    aim(`${client}, warm, of pssh`, of(`${client}, warm`) / of('pssh'), 'x', { atMost: 0.25 });
  }
};

const unavailable = await fleetUnavailable({ installing: true });
if (unavailable !== undefined) {
  note(`Not run: ${unavailable}`);
  process.exit(0);
}
installTools();
const { createLab } = await import('pipit-lab');
const { folder, remove } = makeFolder();
const ends = [remove];
try {
  const hosts = Array.from({ length: HOSTS }, (_, index) => ({ name: `host-${index + 1}`, layer: 'ansible' }));
  const lab = await createLab({ folder: join(folder, 'lab'), hosts, startAtOnce: START_AT_ONCE, signal: stop.signal });
  ends.push(lab.down);
  await mkdir(join(folder, 'tools'));
  const tools = await prepareTools({
    folder: join(folder, 'tools'),
    sshConfigFile: lab.sshConfigFile,
    hosts: hosts.map(({ name }) => name),
  });
  ends.push(tools.closeAnsible);
  const upgrades = await prepareUpgrades({ lab, folder, tools });
  ends.push(upgrades.close);
  await measureUpgrades(upgrades);
  await measureConnections(await prepareConnections({ lab, folder, tools, perHost: PER_HOST, atOnce: AT_ONCE }));
} finally {
  for (const end of ends.reverse()) await end();
}
