import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  parseAppName,
  parseDigest,
  parseHostAddress,
  parsePackageName,
  parsePackageVersion,
  parseRingName,
  parseRoleName,
} from '@pipit/core';
import { openAptShelf } from 'pipit-lab';
import { timed } from './fleet-tools.mjs';
import { callOf, openSshPlugin } from './ssh-plugin.mjs';

const NAME = 'web';
const PACKAGE_BYTES = 1_000_000;
const ring = { app: parseAppName(NAME), role: parseRoleName('app'), ring: parseRingName('production') };

/** What an operator would run on each host by hand; clustershell and pssh run it too. */
const aptCommand = (version) =>
  `export DEBIAN_FRONTEND=noninteractive; apt-get -q update --error-on=any && apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Options::=--force-confold install ${NAME}=${version}`;

const OWN_RUN = 'from=$EPOCHREALTIME; sh -c "$1" >/dev/null 2>&1; code=$?; echo "$from $EPOCHREALTIME"; times; exit "$code"';

/** `0m1.250s 0m0.500s`, as a shell's `times` says user and system. */
const cpuOfTimes = (line) =>
  [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, minutes, seconds]) => sum + minutes * 60_000 + seconds * 1_000, 0);

/** How pipit asks a task until it has ended. Source: followTask of packages/pipeline. */
const POLL_MS = { first: 100, longest: 5_000 };

/**
 * Upgrades of one package on all hosts of a lab. Each turn publishes a version of its own first, so that every host has to read the index anew,
 * and looks at every host afterwards.
 */
export const prepareUpgrades = async ({ lab, folder, tools }) => {
  const shelf = await openAptShelf(lab.bridgeAddress);
  const config = {
    user: 'root',
    identity: await readFile(lab.privateKeyFile, 'utf8'),
    knownHosts: lab.knownHosts.join('\n'),
    sshConfig: 'none',
  };
  const hosts = lab.hosts.map(({ name, address }) => ({ id: name, address: parseHostAddress(address), available: true, attributes: {} }));
  const onEveryHost = (argv) => Promise.all(lab.hosts.map((host) => host.exec(argv)));
  /** Milliseconds of processor that the hosts have used, all together. */
  const cpuOfHosts = async () => {
    const text = await readFile(join(dirname(lab.servicesCgroup), 'cpu.stat'), 'utf8');
    return Number(/^usage_usec (\d+)$/m.exec(text)?.[1]) / 1_000;
  };
  const debs = [];
  let number = 0;

  const publish = async () => {
    number += 1;
    const deb = await shelf.build({ name: NAME, version: `1.${number}`, paddingBytes: PACKAGE_BYTES, padding: 'noise' });
    debs.push(deb);
    return { deb, source: await shelf.put('production', debs) };
  };

  const byPipit =
    (client) =>
    async ({ deb, source }) => {
      const version = parsePackageVersion(deb.version);
      const digest = parseDigest(deb.digest);
      const artifact = {
        format: 'deb',
        name: parsePackageName(NAME),
        version,
        architecture: 'all',
        digest,
        content: { sha256: digest, size: deb.bytes },
      };
      const commit = {
        repository: { id: '1', name: 'bench/web', url: 'bench:web' },
        sha: '0'.repeat(40),
        committedAt: '2026-01-01T00:00:00Z',
      };
      const release = { app: ring.app, version, commit, artifacts: [artifact] };
      const request = { ring, sequence: number, hosts, services: [], release, sources: [source], options: {} };
      const key = `rollout:${number}:1`;
      const { deployer, close } = await openSshPlugin(folder, { ...config, client });
      try {
        const steps = {};
        let result;
        const ms = await timed(async () => {
          const from = performance.now();
          let handle = await deployer.find(request, callOf(key));
          steps.find = performance.now() - from;
          handle ??= await deployer.start(request, callOf(key));
          steps.start = performance.now() - from - steps.find;
          for (let waits = 1; ; waits += 1) {
            const state = await deployer.inspect({ handle, request }, callOf(key, 60_000));
            if (state.state === 'lost') throw new Error(state.reason);
            if (state.state === 'ended') {
              result = state.result;
              steps.inspects = waits;
              return;
            }
            handle = state.handle ?? handle;
            const whole = Math.min(POLL_MS.longest, POLL_MS.first * 2 ** (waits - 1));
            await sleep((whole / 2) * (1 + Math.random()));
          }
        });
        const failed = result.find((report) => report.installed?.version !== version);
        if (failed !== undefined) throw new Error(`pipit: ${JSON.stringify(failed)}`);
        return { ms, steps };
      } finally {
        await close();
      }
    };

  /** All hosts at once, each by itself: what no tool can be faster than. */
  const byHosts = async ({ deb }) => {
    const runs = await onEveryHost(['bash', '-c', OWN_RUN, 'bash', aptCommand(deb.version)]);
    const failed = runs.find(({ exitCode }) => exitCode !== 0);
    if (failed !== undefined) throw new Error(`apt-get on a host ended with ${failed.exitCode}`);
    const ended = runs.map(({ stdout }) => {
      const [span, , children] = stdout.split('\n');
      const [from, to] = span.split(' ').map(Number);
      return { ms: (to - from) * 1_000, cpuMs: cpuOfTimes(children) };
    });
    // What is run in a host from outside is not in its cgroup.
    return { ms: Math.max(...ended.map(({ ms }) => ms)), cpuMs: ended.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / ended.length };
  };

  const withTool = (work) => async (offer) => ({ ms: await timed(() => work(offer)) });
  const ways = {
    hosts: byHosts,
    pipit: byPipit('openssh'),
    'pipit with ssh2': byPipit('ssh2'),
    ansible: withTool(({ deb }) => tools.ansibleApt(NAME, deb.version)),
    clush: withTool(({ deb }) => tools.clush(aptCommand(deb.version))),
    pssh: withTool(({ deb }) => tools.pssh(aptCommand(deb.version))),
  };

  return {
    ways: Object.keys(ways),
    /** One turn of one way, from the publishing on; the time is that of the upgrade alone. */
    upgrade: async (way) => {
      // Pipit's pin would hold the others up.
      await onEveryHost(['sh', '-c', 'rm -f /etc/apt/preferences.d/pipit-*']);
      const offer = await publish();
      const before = await cpuOfHosts();
      const took = await ways[way](offer);
      const cpuMs = ((await cpuOfHosts()) - before) / lab.hosts.length;
      await tools.closeAnsible();
      const found = await onEveryHost(['dpkg-query', '-W', '-f', '$' + '{Version}', NAME]);
      const wrong = found.find(({ stdout }) => stdout !== offer.deb.version);
      if (wrong !== undefined) throw new Error(`${way} left ${wrong.stdout} in place of ${offer.deb.version} on a host`);
      return { cpuMs, ...took };
    },
    close: shelf.close,
  };
};
