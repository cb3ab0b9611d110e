/** That the Puppet example brings a host to what pipit advertises for its ring: real Puppet, hiera, Consul with ACLs and apt, on hosts of the lab. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { labUnavailable } from 'pipit-lab';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openPuppetWorld, type PuppetWorld } from './support/puppet-world.js';

/** The first lab of a machine builds its images. */
const UP_MS = 900_000;

const unavailable = await labUnavailable();

describe('hosts that Puppet keeps', { timeout: 300_000 }, () => {
  let world: PuppetWorld;

  beforeAll(async () => {
    if (unavailable === undefined) world = await openPuppetWorld();
  }, UP_MS);
  afterAll(() => world?.close(), 60_000);
  beforeEach((context) => context.skip(unavailable !== undefined, unavailable));

  /** What `puppet apply` ends with. */
  const NOTHING_TO_DO = 0;
  const CHANGED = 2;

  const versionOf = (index: number): string => {
    const deb = world.debs[index];
    if (deb === undefined) throw new Error(`There is no deb ${index}`);
    return deb.version;
  };
  const advertise = async (ring: 'canary' | 'production', index: number): Promise<void> => {
    const deb = world.debs[index];
    if (deb !== undefined) await world.advertise(ring, deb);
  };
  const both = async (): Promise<readonly [canary: string, production: string]> => [
    await world.installed('canary'),
    await world.installed('production'),
  ];

  const applyBoth = (): Promise<readonly number[]> =>
    Promise.all((['canary', 'production'] as const).map(async (ring) => (await world.applyPuppet(ring)).exitCode));

  it('installs nothing where nothing is advertised yet', async () => {
    await advertise('canary', 1);
    const applied = await world.applyPuppet('production');
    expect(applied.exitCode).toBe(1);
    expect(applied.stderr).toContain("did not find a value for the name 'shop::version'");
    expect(await both()).toEqual(['', '']);
  });

  it("installs exactly its ring's advertised version, although newer ones are to be had", async () => {
    await advertise('canary', 1);
    await advertise('production', 0);
    expect(await applyBoth()).toEqual([CHANGED, CHANGED]);
    expect(await both()).toEqual([versionOf(1), versionOf(0)]);
    expect(await applyBoth()).toEqual([NOTHING_TO_DO, NOTHING_TO_DO]);
  });

  it.each([
    ['a newer version', 2],
    ['the version of before', 1],
  ])('brings the host of the ring whose advertised version changed to %s, and the other not', async (_what, index) => {
    await advertise('canary', index);
    expect(await applyBoth()).toEqual([CHANGED, NOTHING_TO_DO]);
    expect(await both()).toEqual([versionOf(index), versionOf(0)]);
  });

  it('reads with a token that may not write', async () => {
    const host = world.host('canary');
    const put = [
      'curl',
      '-s',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '-X',
      'PUT',
      '-d',
      '6.6',
      '-H',
      `X-Consul-Token: ${world.readerToken}`,
    ];
    const { stdout } = await host.exec([...put, 'http://127.0.0.1:8500/v1/kv/pipit/shop/app/canary/version']);
    expect(stdout).toBe('403');
  });

  it.each([
    ['refuses the token', '00000000-0000-0000-0000-000000000001', undefined, 'Consul answers 403'],
    ['is down', undefined, ['systemctl', 'stop', 'consul'], 'Failed to open TCP connection'],
  ])('keeps what it has while Consul %s', async (_what, token, command, said) => {
    await advertise('canary', 2);
    const before = await both();
    const host = world.host('canary');
    if (token !== undefined) await writeFile(join(host.rootFolder, 'etc/puppet/consul-token'), token);
    if (command !== undefined) await host.exec(command);
    const applied = await world.applyPuppet('canary');
    expect(applied.exitCode).toBe(1);
    expect(applied.stderr).toContain(said);
    expect(await both()).toEqual(before);
    await writeFile(join(host.rootFolder, 'etc/puppet/consul-token'), world.readerToken);
  });
});
