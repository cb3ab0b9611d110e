/** That the plugin keeps the published promises: always on the fake Freight, and on the real one where it is on PATH. */
import { buildTestDeb, type RepositoryHarness, testPlugin, testRepository } from '@pipit/plugin-testing';
import { describe, it, vi } from 'vitest';
import { plugin } from '../src/index.js';
import {
  canary,
  type FreightProgram,
  fakeFreight,
  NO_FREIGHT,
  type Options,
  openFreightWorld,
  options,
  production,
  realFreight,
} from './freight-world.js';

// Each check runs Freight and gpg many times, on machines that do other work too.
vi.setConfig({ testTimeout: 180_000 });

testPlugin('plugin-freight', {
  plugin,
  goodConfig: { conf: '/etc/freight.conf', gnupgHome: '/var/lib/freight/.gnupg', url: 'https://apt.example.org' },
  badConfigs: {
    'neither root nor conf': {},
    'both root and conf': { root: '/srv/apt', conf: '/etc/freight.conf', gnupgHome: '/srv/gnupg' },
    'a conf without the home of its key': { conf: '/etc/freight.conf' },
    'a conf and a key': { conf: '/etc/freight.conf', gnupgHome: '/srv/gnupg', key: '0123456789ABCDEF' },
    'a root with a space': { root: '/srv/my apt' },
    'a root that is too long for the agent of gpg': { root: `/${'x'.repeat(80)}` },
    'a program that is a command line': { root: '/srv/apt', program: 'sudo freight' },
    'a distribution that is a path': { root: '/srv/apt', published: '../published' },
    'an address of hosts with an option of apt in it': { root: '/srv/apt', url: 'http://a [trusted=yes] b' },
    'one version kept': { root: '/srv/apt', keepVersions: 1 },
  },
});

const harnessOf = (program: FreightProgram): RepositoryHarness<Options> => ({
  open: async () => {
    const world = await openFreightWorld(program);
    const deb = async (version: string, content?: string) =>
      buildTestDeb(world.files, content === undefined ? { version } : { version, content });
    return {
      reopen: () => world.open(),
      options,
      first: [await deb('1.0')],
      second: [await deb('2.0')],
      conflicting: [await deb('1.0', 'other bytes')],
      ring: canary,
      otherRing: production,
      createOp: world.createOp,
      readOffered: async (ring) => (await world.hostOf(ring)).offeredVersions(),
      close: world.close,
    };
  },
});

testRepository<Options>(`plugin-freight on ${fakeFreight.name}`, harnessOf(fakeFreight));
if (realFreight.path !== undefined) testRepository<Options>(`plugin-freight on ${realFreight.name}`, harnessOf(realFreight));
else
  describe(`plugin-freight on ${realFreight.name}`, () => {
    it('keeps the promises of a repository', ({ skip }) => skip(NO_FREIGHT));
  });
