import { describe, expect, it } from 'vitest';
import { addHost } from './world/outside.js';
import { MAIN, policy, REPOSITORY, World } from './world/world.js';

/**
 * The design's promises, each tried by one attack that no other file makes. The guards behind them are in guards-taken-out.test.ts; every point of a
 * crash (5, 10) in crash-walk.test.ts; random attacks on 1, 6, 8 and 11 in random-worlds.test.ts. Promise 12 is each `refuses` of several-runs.test.ts.
 */
describe('promise', () => {
  it('1: bytes exchanged in the repository between canary and production are installed nowhere, and both digests are named', async () => {
    const world = new World();
    const { version: good } = await world.deliver();
    await world.push();
    await world.settle();
    const { version } = await world.run(2);
    const index = world.outside.published.findIndex((each) => each.version === version);
    const artifact = world.outside.published[index];
    if (artifact === undefined) throw new Error('not published');
    world.outside.published[index] = { ...artifact, digest: `sha256:${'e'.repeat(64)}` };
    await world.promote();
    await world.settle();
    const { outcome, reason } = await world.run(2);
    expect(outcome).toBe('rolled-back');
    expect(reason).toContain(`sha256:${'e'.repeat(64)}`);
    expect(reason).toContain(artifact.digest);
    for (const host of world.hostsOf('production')) expect(host.installs.map((each) => each.version)).not.toContain(version);
    expect(world.versionsOf('production')).toEqual([good]);
  });

  it('1: a canary host re-made without its receipt stops the promotion', async () => {
    const world = new World();
    await world.push();
    await world.settle();
    world.host('canary1').installed = undefined;
    await world.promote();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(/canary1: nothing installed/) });
    expect(world.versionsOf('production')).toEqual([undefined]);
  });

  it('1: a canary host that joins after the rollout began does not count, and is not needed', async () => {
    const world = new World();
    await world.push();
    await world.settle();
    addHost(world.outside, 'canary3', ['canary']);
    await world.promote();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'succeeded' });
  });

  it('2: the canary goes back to what production runs, not to the canary before it', async () => {
    const world = new World();
    const { version: good } = await world.deliver();
    await world.push();
    await world.settle();
    await world.push({ plan: { release: 'unhealthy' } });
    await world.settle();
    expect(world.versionsOf('canary')).toEqual([good]);
  });

  it('7: a fleet with a dead host in each ring is delivered to, and the dead are reported', async () => {
    const world = new World();
    world.host('canary1').reachable = false;
    world.host('web3').reachable = false;
    await world.deliver();
    const unreachable = await world.records.list('rolloutHosts', { where: { state: 'unreachable' } });
    expect(unreachable.map((host) => host.hostId)).toEqual(['canary1', 'web3']);
    expect(await world.run(1)).toMatchObject({ outcome: 'succeeded' });
  });

  it('8: a lock names its owner, its reason and its age', async () => {
    const world = new World();
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    expect(await world.records.list('locks')).toEqual([
      { name: 'ring:web:app:canary', runId: 'web-1', reason: 'rollout of canary', since: expect.stringMatching(/^2026-01-01T/) },
    ]);
  });

  it('8: a lock does not expire under a rollout that takes a day', async () => {
    const world = new World({ rings: [policy('canary', { bakeMs: 60 * 60_000 }), policy('production')] });
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    await world.push();
    await world.pass(50 * 60_000);
    expect(await world.run(2)).toMatchObject({ waitingFor: 'rollout-lock' });
    expect(await world.records.list('locks')).toMatchObject([{ runId: 'web-1' }]);
    await world.settle();
  });

  it('11: every change of a run’s outcome has a line on the trail, and the trail is whole', async () => {
    const world = new World();
    await world.deliver();
    await world.push({ plan: { ci: 'fails' } });
    await world.push({ plan: { release: 'unhealthy' } });
    await world.settle();
    await world.push();
    await world.settle();
    await world.push();
    await world.settle();
    await world.tell({ repository: REPOSITORY, ref: MAIN, sha: (await world.run(1)).sha });
    await world.settle();
    await world.rollback({ ring: policy('canary').name });
    await world.settle();
    const lines = await world.records.list('audit');
    for (const run of await world.runs()) {
      if (run.state !== 'ended') continue;
      const own = lines.filter((line) => line.subject === run.id).map((line) => line.action);
      if (run.outcome === 'superseded') expect(own).toContain('run.supersede');
      else if (run.outcome === 'stale') expect(own).toContain('run.begin');
      else expect(own).toContain('run.end');
    }
    expect(await world.brokenAudit()).toBeUndefined();
  });

  it('13: a ring’s view of the repository shows what the ring was given, and nothing while another ring bakes it', async () => {
    const world = new World();
    const { version: good } = await world.deliver();
    await world.push();
    await world.untilRun(2, { waitingFor: 'bake' });
    expect(world.outside.views.get('web:app:production')).toMatchObject([{ version: good }]);
    expect(world.outside.views.get('web:app:canary')).toMatchObject([{ version: (await world.run(2)).version }]);
    await world.settle();
  });
});
