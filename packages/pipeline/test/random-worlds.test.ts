import { isPluginError } from '@pipit/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type CommitPlan, type Fault, failCalls } from './world/outside.js';
import { policy, World } from './world/world.js';

type Action =
  | { readonly do: 'push'; readonly plan: CommitPlan }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'promote' | 'crash' | 'heal' | 'stop' | 'settle' }
  | { readonly do: 'rollback'; readonly ring: 'canary' | 'production' }
  | { readonly do: 'cancel'; readonly run: number }
  | { readonly do: 'hurt'; readonly host: string; readonly how: 'reachable' | 'busy' | 'sick' | 'wrongBytes' | 'broken' }
  | { readonly do: 'fail'; readonly call: string; readonly fault: Fault }
  | { readonly do: 'outage'; readonly call: string; readonly ms: number; readonly how: 'retry' | 'disk full' | 'lost after' }
  | { readonly do: 'retry'; readonly run: number }
  | { readonly do: 'step'; readonly ms: number };

const NUM_RUNS = 120;
const HOSTS = { canary: ['canary1', 'canary2'], production: ['web1', 'web2', 'web3'] };
const CALLS = [
  'ci.start',
  'ci.inspect',
  'packager.package',
  'repository.publish',
  'repository.offer',
  'advertiser.write',
  'deployer.start',
  'deployer.observe',
];

const plan: fc.Arbitrary<CommitPlan> = fc.record(
  {
    ci: fc.constantFrom('passes', 'passes', 'passes', 'fails', 'passes another commit'),
    packaging: fc.constantFrom('works', 'works', 'works', 'fails'),
    release: fc.constantFrom('healthy', 'healthy', 'healthy', 'unhealthy', 'fails to install'),
    inspections: fc.integer({ min: 1, max: 8 }),
  },
  { requiredKeys: [] },
);

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('push' as const), plan }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 90_000 }) }) },
  { weight: 3, arbitrary: fc.constant({ do: 'settle' as const }) },
  { weight: 8, arbitrary: fc.constant({ do: 'promote' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('rollback' as const), ring: fc.constantFrom('canary' as const, 'production' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), run: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('retry' as const), run: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('step' as const), ms: fc.integer({ min: -86_400_000, max: 86_400_000 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('outage' as const),
      call: fc.constantFrom(...CALLS),
      ms: fc.integer({ min: 1_000, max: 1_200_000 }),
      how: fc.constantFrom('retry' as const, 'disk full' as const, 'lost after' as const),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'crash' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'stop' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'heal' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('hurt' as const),
      host: fc.constantFrom(...HOSTS.canary, ...HOSTS.production),
      how: fc.constantFrom('reachable' as const, 'busy' as const, 'sick' as const, 'wrongBytes' as const, 'broken' as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      call: fc.constantFrom(...CALLS),
      fault: fc.constantFrom('retry' as const, 'stop' as const, 'lost before' as const, 'lost after' as const),
    }),
  },
);

/** A refusal is an answer; anything else is a fault. */
const orRefused = async (act: Promise<unknown>): Promise<void> => {
  try {
    await act;
  } catch (error) {
    if (!isPluginError(error)) throw error;
  }
};

const perform = async (world: World, step: Action): Promise<void> => {
  switch (step.do) {
    case 'push':
      await world.push({ plan: step.plan });
      return;
    case 'pass':
      return world.pass(step.ms);
    case 'settle':
      return world.settle();
    case 'promote':
      return orRefused(world.promote());
    case 'rollback':
      return orRefused(world.rollback({ ring: policy(step.ring).name }));
    case 'cancel':
      return orRefused(world.cancel(`web-${step.run}`));
    case 'retry':
      return orRefused(world.retry(`web-${step.run}`));
    case 'step':
      return world.clock.step(step.ms);
    case 'outage':
      return world.outage(step.call, step.ms, step.how);
    case 'crash':
      return world.crash();
    case 'stop':
      return world.stop();
    case 'heal':
      for (const host of world.outside.hosts.values())
        Object.assign(host, { reachable: true, busy: false, sick: false, wrongBytes: false, broken: false });
      return;
    case 'hurt':
      Object.assign(world.host(step.host), { [step.how]: step.how !== 'reachable' });
      return;
    case 'fail':
      failCalls(world.outside, step.call, step.fault);
  }
};

const rising = (numbers: readonly number[]): boolean => numbers.every((each, index) => index === 0 || each > (numbers[index - 1] ?? 0));

/** What holds at every moment. */
const check = async (world: World): Promise<void> => {
  const { outside, records } = world;
  const rollouts = await records.list('rollouts');
  // Promise 1: production's bytes are ones that the canary ring ran, verified. A verification that was taken back later was never promoted on.
  const verified = new Set(
    rollouts
      .filter((each) => each.ring === 'canary' && each.state === 'verified')
      .flatMap((each) => each.artifacts.map((artifact) => artifact.digest)),
  );
  for (const rollout of rollouts.filter((each) => each.ring === 'production'))
    for (const artifact of rollout.artifacts) expect(verified, `production was given ${rollout.version}`).toContain(artifact.digest);
  for (const { ring, document } of outside.advertisements.filter((each) => each.ring === 'production'))
    for (const artifact of document.artifacts) expect(verified, `${ring} was advertised ${document.version}`).toContain(artifact.digest);
  // Promise 2: nothing is promoted that was not watched to the end.
  for (const rollout of rollouts.filter((each) => each.ring === 'production' && each.purpose === 'forward')) {
    const canaries = rollouts.filter((each) => each.ring === 'canary' && each.purpose === 'forward' && each.version === rollout.version);
    const runs = await Promise.all(canaries.map((each) => records.get('runs', { id: each.runId })));
    expect(
      runs.some((run) => run?.completedStages.includes('bake:canary')),
      `${rollout.version} was watched`,
    ).toBe(true);
  }
  // Promise 6: sequences grow, at the advertisement and at each host.
  for (const ring of ['canary', 'production']) {
    const written = outside.advertisements.filter((each) => each.ring === ring).map((each) => each.document.sequence);
    expect(rising(written), `advertised for ${ring}: ${written}`).toBe(true);
  }
  for (const host of outside.hosts.values()) {
    const sequences = host.installs.map((each) => each.sequence ?? 0);
    expect(rising(sequences), `installed on ${host.id}: ${sequences}`).toBe(true);
  }
  // Promise 8: one install at a time, and one run a ring. Keys keep a lock from being held twice.
  const open = (await records.list('runs', { where: { state: ['active', 'waiting'] } })).map((run) => run.id);
  for (const lock of await records.list('locks')) expect(open, lock.name).toContain(lock.runId);
  for (const ring of ['canary', 'production'])
    expect(
      rollouts.filter((each) => each.ring === ring && each.endedAt === null).length,
      `rollouts under way in ${ring}`,
    ).toBeLessThanOrEqual(1);
  // Promise 5: nothing twice.
  expect(new Set(outside.builds.map((build) => build.key)).size).toBe(outside.builds.length);
  expect(new Set(outside.publications.map((each) => each.version)).size).toBe(outside.publications.length);
  for (const run of await records.list('runs')) {
    if (run.state !== 'ended') continue;
    expect(run.outcome, run.id).not.toBeNull();
    expect(run.reason, run.id).toBeTruthy();
  }
  // Promise 11.
  expect(await world.brokenAudit()).toBeUndefined();
};

/** How the runs of all worlds ended: the test is worth something only when every way was taken. */
const taken = new Map<string, number>();

it('whatever is pushed, promoted, hurt and killed, in whichever order, the promises hold', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 4, maxLength: 18 }), async (actions) => {
      const world = new World({ hosts: HOSTS });
      await world.deliver();
      for (const step of actions) {
        await perform(world, step);
        await check(world);
      }
      await perform(world, { do: 'heal' });
      world.outside.faults.clear();
      world.outside.outages.clear();
      await world.settle();
      await check(world);
      expect(world.outside.folders).toEqual(new Set());
      expect(await world.records.list('locks')).toEqual([]);
      for (const run of (await world.runs()).slice(1))
        taken.set(`${run.kind} ${run.outcome}`, (taken.get(`${run.kind} ${run.outcome}`) ?? 0) + 1);
    }),
    { numRuns: NUM_RUNS },
  );
  for (const way of ['delivery succeeded', 'delivery superseded', 'delivery rolled-back', 'delivery failed', 'rollback succeeded'])
    expect(taken.get(way) ?? 0, `worlds in which a ${way}`).toBeGreaterThan(0);
}, 120_000);
