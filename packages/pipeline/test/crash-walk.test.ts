import { describe, expect, it } from 'vitest';
import { failCalls } from './world/outside.js';
import { policy, World, type WorldOptions } from './world/world.js';

type Kill = (point: string, count: number) => boolean;

type How = Pick<WorldOptions, 'losesPower'>;

interface Scenario {
  readonly name: string;
  /** Acts it out; points are counted from what `watch` returns to. */
  play(killAt: Kill, how?: How): Promise<World>;
  check(world: World): Promise<void>;
}

const automatic = [policy('canary', { bakeMs: 10_000 }), policy('production', { promotion: 'automatic' })];

/** What holds after every crash, whatever the run was to do. */
const checkOnce = async (world: World): Promise<void> => {
  const { outside } = world;
  const keys = outside.builds.map((build) => build.key);
  expect(keys, 'one build a run').toEqual([...new Set(keys)]);
  const places = outside.publications.map((each) => `${each.name} ${each.version} ${each.architecture}`);
  expect(places, 'one publication a package').toEqual([...new Set(places)]);
  const written = outside.advertisements.map(({ ring, document }) => `${ring} ${document.sequence}`);
  expect(written, 'one advertisement a sequence').toEqual([...new Set(written)]);
  const batches = outside.batches.map((batch) => batch.key);
  expect(batches, 'one batch a rollout').toEqual([...new Set(batches)]);
  for (const host of outside.hosts.values()) {
    const sequences = host.installs.map((each) => each.sequence);
    expect(sequences, `one install a rollout on ${host.id}`).toEqual([...new Set(sequences)]);
  }
  expect(outside.folders, 'no folder is left').toEqual(new Set());
  expect(await world.records.list('cleanups')).toEqual([]);
  expect(await world.records.list('locks'), 'no lock is left').toEqual([]);
  expect(await world.brokenAudit()).toBeUndefined();
  for (const run of await world.runs()) {
    expect(run.state).toBe('ended');
    expect(run.reason).toBeTruthy();
    const recorded = (await world.records.list('audit', { where: { subject: run.id } })).map((line) => line.action);
    expect(recorded.filter((action) => action === 'run.begin')).toHaveLength(run.kind === 'delivery' ? 1 : 0);
    expect(recorded.filter((action) => action === 'run.end')).toHaveLength(run.attempt);
    for (const event of await world.records.list('events'))
      expect(event).toMatchObject({ state: 'handled', outcome: expect.stringMatching(/^Run web-\d+ began$/) });
  }
};

const stepsEnded = async (world: World): Promise<void> => {
  const steps = await world.records.list('steps');
  expect(steps.filter((step) => step.state === 'running')).toEqual([]);
};

const scenarios: readonly Scenario[] = [
  {
    name: 'a push to production, promoted by itself',
    play: async (killAt, how) => {
      const world = new World({ rings: automatic, killAt, ...how });
      world.outside.hostsAnInspect = 1;
      await world.push();
      await world.settle();
      return world;
    },
    check: async (world) => {
      expect(await world.runs()).toMatchObject([{ outcome: 'succeeded' }]);
      expect(world.outside.builds).toHaveLength(1);
      expect(world.outside.publications).toHaveLength(1);
      expect(world.outside.advertisements.map((each) => [each.ring, each.document.sequence])).toEqual([
        ['canary', 1],
        ['production', 1],
      ]);
    },
  },
  {
    name: 'a publication and an advertisement that wait for a fault to pass, and a retry',
    play: async (killAt, how) => {
      const world = new World({ rings: automatic, killAt, ...how });
      world.patienceMs = 90_000;
      world.outage('repository.publish', 40_000, 'disk full');
      world.outage('advertiser.write', 60 * 60_000, 'lost after');
      await world.push();
      await world.settle();
      world.outside.outages.clear();
      // A person who got no answer looks before asking again.
      if ((await world.run(1)).outcome === 'failed') await world.retry('web-1').catch(() => undefined);
      await world.settle();
      return world;
    },
    check: async (world) => {
      expect(world.outside.builds).toHaveLength(1);
      expect(world.outside.publications).toHaveLength(1);
      expect(await world.records.list('operations', { where: { state: ['waiting', 'running', 'pending'] } })).toEqual([]);
    },
  },
  {
    name: 'a canary that fails and goes back',
    play: async (killAt, how) => {
      let counting = false;
      const world = new World({ rings: automatic, killAt: (point, count) => counting && killAt(point, count), ...how });
      await world.push();
      await world.settle();
      world.points.length = 0;
      counting = true;
      await world.push({ plan: { release: 'unhealthy' } });
      await world.settle();
      return world;
    },
    check: async (world) => {
      expect(await world.runs()).toMatchObject([{ outcome: 'succeeded' }, { outcome: 'rolled-back' }]);
      expect(world.versionsOf('canary')).toEqual([(await world.run(1)).version]);
      expect(world.versionsOf('production')).toEqual([(await world.run(1)).version]);
      expect(world.outside.advertisements.map((each) => [each.ring, each.document.sequence])).toEqual([
        ['canary', 1],
        ['production', 1],
        ['canary', 2],
        ['canary', 3],
      ]);
    },
  },
  {
    name: 'a promotion by a person and a rollback of production',
    play: async (killAt, how) => {
      let counting = false;
      const rings = [policy('canary'), policy('production')];
      const world = new World({ rings, killAt: (point, count) => counting && killAt(point, count), ...how });
      await world.deliver();
      await world.push();
      await world.settle();
      world.points.length = 0;
      counting = true;
      const { runId } = await world.promote();
      expect(runId).toBe('web-2');
      await world.settle();
      // A person who got no answer looks before asking again.
      if ((await world.runs()).length === 2) await world.rollback().catch(() => undefined);
      await world.settle();
      return world;
    },
    check: async (world) => {
      expect(await world.runs()).toMatchObject([
        { outcome: 'succeeded' },
        { outcome: 'succeeded' },
        { outcome: 'succeeded', kind: 'rollback' },
      ]);
      expect(world.versionsOf('production')).toEqual([(await world.run(1)).version]);
      expect(world.outside.advertisements.filter((each) => each.ring === 'production').map((each) => each.document.sequence)).toEqual([
        1, 2, 3,
      ]);
    },
  },
];

describe.each(scenarios)('$name', ({ play, check }) => {
  it.each([
    ['pipit is killed', { losesPower: false }],
    ['the power goes, with all that was not durable', { losesPower: true }],
  ])(
    'ends as it should wherever %s, with no effect repeated and nothing left behind',
    async (_what, how) => {
      const whole = await play(() => false);
      await check(whole);
      await checkOnce(whole);
      const points = [...whole.points];
      expect(points.length).toBeGreaterThan(100);
      const failures: string[] = [];
      for (const [index, name] of points.entries()) {
        try {
          const world = await play((_point, count) => count === index + 1, how);
          expect(world.kills, 'it was killed').toBe(1);
          await check(world);
          await checkOnce(world);
          await stepsEnded(world);
        } catch (error) {
          failures.push(`killed at ${index + 1}, ${name}: ${String(error).slice(0, 400)}`);
        }
      }
      expect(failures).toEqual([]);
    },
    180_000,
  );
});

it('a run ends as it should when pipit is killed again and again', async () => {
  // More points than the longest step has: a step that is killed each time before its end never ends.
  const world = new World({ rings: automatic, killAt: (_point, count) => count % 41 === 0 });
  await world.push();
  await world.settle();
  expect(world.kills).toBeGreaterThan(5);
  await scenarios[0]?.check(world);
  await checkOnce(world);
}, 60_000);

it('a run ends as it should when the engine’s own tables are lost under way', async () => {
  const world = new World({ rings: automatic });
  failCalls(world.outside, 'advertiser.read', 'retry');
  await world.push();
  await world.until(() => world.outside.faults.get('advertiser.read')?.length === 0);
  world.crash();
  world.loseJournal();
  await world.settle();
  await scenarios[0]?.check(world);
  await checkOnce(world);
});
