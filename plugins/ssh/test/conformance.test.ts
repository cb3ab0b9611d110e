/** That this plugin keeps the published promises, on the real tools: OpenSSH, apt, dpkg, systemd. */
import { type InstallSource, parseAppName, parseHostAddress } from '@pipit/core';
import { testDeployer, testPlugin } from '@pipit/plugin-testing';
import { labUnavailable } from 'pipit-lab';
import { afterAll, beforeAll, describe } from 'vitest';
import { plugin } from '../src/index.js';
import type { BuiltDeb } from './apt-shelf.js';
import {
  canary,
  FIRST_LAB_MS,
  type LabWorld,
  type NoOptions,
  openLabWorld,
  opFor,
  type Request,
  servedWith,
  serviceFiles,
} from './lab-world.js';

const privateKey = `-----BEGIN OPENSSH PRIVATE KEY-----\nnot a real one\n-----END OPENSSH PRIVATE KEY-----\n`;

testPlugin('plugin-ssh', {
  plugin,
  goodConfig: { user: 'deploy', sudo: true, identity: privateKey, knownHosts: '@cert-authority *.example.org ssh-ed25519 AAAA' },
  badConfigs: {
    'an unknown key': { username: 'deploy' },
    'a user that is an option': { user: '-oProxyCommand=id' },
    'a user with a line break': { user: 'deploy\nProxyCommand id' },
    'a jump host that is an option': { jump: ['-oProxyCommand=id'] },
    'a jump host with a space': { jump: ['a b'] },
    'a program with a line break': { program: 'ssh\nid' },
    'a relative file': { knownHostsFile: 'known_hosts' },
    'a file with a quote': { sshConfig: '/etc/"x"' },
    'an agent socket with a line break': { agent: '/run/agent\nProxyCommand id' },
    'an identity that is a path': { identity: '/root/.ssh/id_ed25519' },
    'a client that there is not': { client: 'putty' },
    'host keys that are not checked': { hostKeys: 'no' },
    'a duration without a unit': { connectTimeout: '10' },
    'a port that there is not': { port: 70_000 },
    'no connection at all': { connections: { total: 0 } },
  },
  secrets: ['not a real one'],
});

const unavailable = await labUnavailable();

/** One lab for all worlds of the deployer; each begins with clean hosts. */
let world: LabWorld;
let shelf: Readonly<
  Record<'good' | 'bad' | 'older' | 'tampered' | 'neighbour', { readonly deb: BuiltDeb; readonly source: InstallSource }>
>;

const putOnShelf = async (suite: string, deb: BuiltDeb, claimed = deb) => ({ deb: claimed, source: await world.shelf.put(suite, [deb]) });

beforeAll(async () => {
  if (unavailable !== undefined) return;
  world = await openLabWorld([{ name: 'web1' }, { name: 'web2' }]);
  const serviceDeb = (version: string, execStart?: string) => world.shelf.build({ version, files: serviceFiles(version, execStart) });
  shelf = {
    good: await putOnShelf('good', await serviceDeb('1.0')),
    bad: await putOnShelf('bad', await serviceDeb('1.1', '/bin/sh -c "echo cannot connect; exit 1"')),
    older: await putOnShelf('older', await serviceDeb('0.9')),
    neighbour: await putOnShelf('neighbour', await world.shelf.build({ name: 'api', version: '1.0', postInstall: '#!/bin/sh\nexit 1\n' })),
    tampered: await putOnShelf(
      'tampered',
      await serviceDeb('2.0'),
      await world.shelf.build({ version: '2.0', files: { '/opt/web/version': 'other' } }),
    ),
  };
}, FIRST_LAB_MS);
afterAll(() => world?.close(), 60_000);

describe.skipIf(unavailable !== undefined)(
  `on lab hosts${unavailable === undefined ? '' : ` (skipped: ${unavailable})`}`,
  { timeout: 180_000 },
  () => {
    for (const client of ['openssh', 'ssh2'])
      testDeployer<NoOptions>(client === 'openssh' ? 'plugin-ssh' : 'plugin-ssh with ssh2', {
        open: async () => {
          const hosts = [world.host('web1'), world.host('web2')];
          const opened: { close(): Promise<void> }[] = [];
          const requestOf = (name: keyof typeof shelf, sequence: number, withinMs = 20_000): Request =>
            world.request(shelf[name].deb, sequence, shelf[name].source, { hosts, ...servedWith(withinMs) });
          await Promise.all(world.lab.hosts.map((host) => world.clean(host)));
          return {
            reopen: async () => {
              const instance = await world.open({ client });
              opened.push(instance);
              return instance.deployer;
            },
            good: requestOf('good', 5),
            bad: requestOf('bad', 6, 1_000),
            older: requestOf('older', 3),
            tampered: requestOf('tampered', 7),
            neighbour: { ...requestOf('neighbour', 1), ring: { ...canary, app: parseAppName('api') }, services: [] },
            // Nobody has this address.
            unreachableHost: {
              ...world.host('web1'),
              id: 'dead',
              address: parseHostAddress(world.lab.bridgeAddress.replace(/\.\d+$/, '.250')),
            },
            forgottenHandle: 'no handle of this plugin',
            endTimeoutMs: 120_000,
            createOp: async ({ key, signal, timeoutMs }) => opFor(key, timeoutMs, signal),
            close: async () => {
              for (const instance of opened) await instance.close();
            },
          };
        },
      });
  },
);
