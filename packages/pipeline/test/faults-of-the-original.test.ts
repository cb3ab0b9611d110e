import { createHash } from 'node:crypto';
import { ringTag } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import type { PromoteRequest } from '../src/index.js';
import { type CommitPlan, failCalls } from './world/outside.js';
import { APP, MAIN, policy, REPOSITORY, ROLE, World } from './world/world.js';

/** What the pattern's first implementation got wrong, each tried on this one. */
describe('of the faults of the first implementation', () => {
  it('1: a canary whose install failed cannot be promoted, though its version stands advertised', async () => {
    const world = new World();
    await world.push({ plan: { release: 'fails to install' } });
    await world.settle();
    expect(world.advertisedFor('canary')).toBe((await world.run(1)).version);
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_NOT_VERIFIED' });
    expect(world.versionsOf('production')).toEqual([undefined]);
  });

  it('2: production installs the canary’s version, whatever version a caller names', async () => {
    const world = new World();
    const { version: older } = await world.deliver();
    await world.push();
    await world.settle();
    await world.promote({ version: older } as Partial<PromoteRequest>); // what an old caller would send
    await world.settle();
    expect(world.versionsOf('production')).toEqual(world.versionsOf('canary'));
    expect(world.versionsOf('production')).not.toEqual([older]);
  });

  it('3: what is packaged is the commit that CI passed, though the branch has moved on meanwhile', async () => {
    const world = new World();
    const { sha } = await world.push();
    await world.until(() => world.outside.builds.length === 1);
    const later = world.commit();
    world.outside.repositories.get(REPOSITORY.id)?.refs.set(MAIN, later.sha);
    await world.settle();
    const [release] = await world.records.list('releases');
    expect(release?.commit.sha).toBe(sha);
    expect(release?.artifacts[0]?.digest).toBe(`sha256:${createHash('sha256').update(`${release?.version} ${sha} amd64`).digest('hex')}`);
    expect(world.versionsOf('canary')).toEqual([expect.stringContaining(sha.slice(0, 7))]);
  });

  it('4: what CI made arrives at the packager as it was collected', async () => {
    const world = new World();
    const { sha } = await world.push();
    await world.settle();
    const sha256 = `sha256:${createHash('sha256').update(`built from ${sha}`).digest('hex')}`;
    expect(world.outside.packageRequests).toMatchObject([{ app: APP, outputs: [{ path: 'bin/web', file: { sha256 } }] }]);
  });

  it('5: a failed CI ends the run as failed, visibly', async () => {
    const world = new World();
    await world.push({ plan: { ci: 'fails' } });
    await world.settle();
    expect(await world.run(1)).toMatchObject({ state: 'ended', outcome: 'failed', reason: 'CI failed: script/cibuild ended with 1' });
    const steps = await world.records.list('steps', {
      where: { operationId: (await world.records.list('operations'))[0]?.id ?? 'none' } as object,
    });
    expect(steps.map((step) => step.name)).toEqual(['await', 'fetch', 'start']);
    const log = await world.logs.read({ operationId: 'web-1:build:1', step: 'await' });
    expect(log.pieces.map((piece) => piece.text).join('')).toContain('failed: script/cibuild ended with 1');
  });

  it('6: hosts are dealt with one by one, and what discovery says of their health is looked into and kept', async () => {
    const world = new World();
    world.host('canary2').reachable = false;
    await world.push();
    await world.settle();
    const hosts = await world.records.list('rolloutHosts');
    expect(hosts.map((host) => [host.hostId, host.state])).toEqual([
      ['canary1', 'installed'],
      ['canary2', 'unreachable'],
    ]);
  });

  it('7: a ring’s tag is made in one place', () => {
    const tagOf = (ring: string): string => ringTag({ app: APP, role: ROLE, ring: policy(ring).name });
    expect([tagOf('canary'), tagOf('staging'), tagOf('production')]).toEqual(['web::app_canary', 'web::app_staging', 'web::app']);
  });

  it('8: a branch with a slash works, and after a failure the advertised version is put back', async () => {
    const world = new World();
    const ref = 'refs/heads/release/2026';
    await world.push({ ref });
    await world.settle();
    await world.promote();
    await world.settle();
    const good = (await world.run(1)).version;
    await world.push({ ref, plan: { release: 'unhealthy' } });
    await world.settle();
    expect(world.advertisedFor('canary')).toBe(good);
    expect(world.outside.views.get('web:app:canary')).toMatchObject([{ version: good }]);
  });

  it('9: a host that was away finds the version of its ring advertised when it is back', async () => {
    const world = new World();
    world.host('web2').reachable = false;
    const { version } = await world.deliver();
    world.host('web2').reachable = true;
    expect(world.host('web2').installed).toBeUndefined();
    expect(world.outside.advertised.get('web:app:production')?.document).toMatchObject({ version, sequence: 1 });
  });

  it.each<[string, CommitPlan]>([
    ['build', { ci: 'fails' }],
    ['package', { packaging: 'fails' }],
    ['canary', { release: 'fails to install' }],
    ['nothing', {}],
  ])('10: temporary folders are gone when %s fails', async (_stage, plan) => {
    const world = new World();
    failCalls(world.outside, 'deployer.observe', 'lost after');
    await world.push({ plan });
    await world.settle();
    expect(world.outside.folders).toEqual(new Set());
    expect(await world.records.list('cleanups')).toEqual([]);
  });
});
