/** That the plugin keeps the published promises, on the real aptly: over its command line, and over its REST API. */
import { buildTestDeb, testPlugin, testRepository } from '@pipit/plugin-testing';
import { vi } from 'vitest';
import { plugin } from '../src/index.js';
import { type AptlyWorld, canary, type Options, openApiWorld, openCommandWorld, options, production } from './aptly-world.js';

// Each check runs aptly and gpg many times, on machines that do other work too.
vi.setConfig({ testTimeout: 180_000 });

const publicKey = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZw==\n-----END PGP PUBLIC KEY BLOCK-----\n';
const api = { url: 'http://127.0.0.1:8080', user: 'pipit', password: 'the password of it' };
const apiConfig = { api, url: 'https://apt.example.org', publicKeys: [publicKey], key: '0123456789ABCDEF' };

testPlugin('plugin-aptly', {
  plugin,
  goodConfig: apiConfig,
  secrets: ['the password of it'],
  badConfigs: {
    'neither root nor api': {},
    'a relative root': { root: 'apt' },
    'a root with a space': { root: '/srv/my apt' },
    'a root that is too long for the agent of gpg': { root: `/${'x'.repeat(80)}` },
    'an unknown key of the config': { root: '/srv/apt', folder: '/srv' },
    'a key that is an option': { root: '/srv/apt', key: '--help' },
    'a public key that is none': { root: '/srv/apt', publicKeys: ['AAAA'] },
    'an address of hosts with an option of apt in it': { root: '/srv/apt', url: 'http://a [trusted=yes] b' },
    'an api without the public key': { ...apiConfig, publicKeys: undefined },
    'an api without the address of hosts': { ...apiConfig, url: undefined },
    'an api that should make a key': { ...apiConfig, key: 'create' },
    'an api that is no address': { ...apiConfig, api: { url: 'ftp://example.org' } },
    'one version kept': { root: '/srv/apt', keepVersions: 1 },
    'all as architecture': { root: '/srv/apt', architectures: ['all'] },
  },
});

const openWorld = (open: () => Promise<AptlyWorld>) => ({
  open: async () => {
    const world = await open();
    const deb = async (version: string, content?: string) =>
      buildTestDeb(world.files, content === undefined ? { version } : { version, content });
    return {
      reopen: () => world.open(),
      options,
      first: [await deb('1.0-20260101000000.aaaaaaa')],
      second: [await deb('1.0-20260102000000.bbbbbbb')],
      conflicting: [await deb('1.0-20260101000000.aaaaaaa', 'other bytes')],
      ring: canary,
      otherRing: production,
      createOp: world.createOp,
      readOffered: async (ring: typeof canary) => (await world.hostOf(ring)).offeredVersions(),
      close: world.close,
    };
  },
});

testRepository<Options>('plugin-aptly over its command line', openWorld(openCommandWorld));
testRepository<Options>('plugin-aptly over its API', openWorld(openApiWorld));
