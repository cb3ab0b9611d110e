import { beforeEach, describe, expect, it } from 'vitest';
import { planStages } from '../src/index.js';
import { failCalls } from './world/outside.js';
import { policy, World } from './world/world.js';

const CANARY = policy('canary').name;
const PRODUCTION = policy('production').name;
const IN_MINUTES = 600;

let world: World;
beforeEach(() => {
  world = new World();
});

const outcomes = async (): Promise<Record<string, string | null>> =>
  Object.fromEntries((await world.runs()).map((run) => [run.id, run.outcome ?? run.waitingFor ?? run.state]));

/** Holds whoever looks at these hosts, as another package manager at work there does. */
const hold = (ring: string, busy: boolean): void => {
  for (const host of world.hostsOf(ring)) host.busy = busy;
};

describe('a newer run', () => {
  it('supersedes the one that waits for promotion when its canary starts, and not before', async () => {
    await world.push();
    await world.settle();
    await world.push({ plan: { inspections: 20 } });
    await world.until(() => world.outside.builds.length === 2);
    expect(await outcomes()).toMatchObject({ 'web-1': 'promotion', 'web-2': 'active' });
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'superseded', reason: 'Run web-2 took over the canary' });
    expect(await outcomes()).toMatchObject({ 'web-2': 'promotion' });
    await world.promote();
    await world.settle();
    expect(world.versionsOf('production')).toEqual([(await world.run(2)).version]);
  });

  it('that never reaches its canary leaves the waiting one promotable', async () => {
    await world.push();
    await world.settle();
    await world.push({ plan: { ci: 'fails' } });
    await world.settle();
    expect(await outcomes()).toEqual({ 'web-1': 'promotion', 'web-2': 'failed' });
    await world.promote();
    await world.settle();
    expect(await outcomes()).toMatchObject({ 'web-1': 'succeeded' });
  });

  it('goes before an older one that waits for the lock too, and neither cuts off the rollout under way', async () => {
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    await world.push();
    await world.untilRun(2, { waitingFor: 'rollout-lock' });
    expect((await world.run(2)).reason).toMatch(/^Run web-1 holds ring canary of web \(rollout of canary\) since 2026/);
    await world.push();
    await world.settle();
    expect(await outcomes()).toEqual({ 'web-1': 'superseded', 'web-2': 'superseded', 'web-3': 'promotion' });
    const [first] = await world.records.list('rollouts', { where: { runId: (await world.run(1)).id } });
    expect(first).toMatchObject({ state: 'verified' });
    expect(await world.records.list('rollouts', { where: { runId: (await world.run(2)).id } })).toEqual([]);
  });

  it('waits until the bake of the older one has ended', async () => {
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    const { dueAt } = await world.run(1);
    await world.push();
    await world.settle();
    const [rollout] = await world.records.list('rollouts', { where: { runId: (await world.run(2)).id } });
    expect((rollout?.startedAt ?? '') >= (dueAt ?? 'never')).toBe(true);
  });

  it('makes an older one, whose build took longer, end as superseded', async () => {
    await world.push({ plan: { inspections: 40 } });
    await world.until(() => world.outside.builds.length === 1);
    await world.push();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'superseded', reason: 'Run web-2 is newer and goes first' });
    expect(world.versionsOf('canary')).toEqual([(await world.run(2)).version]);
  });

  it.each(['rollback', 'stop'] as const)(
    'whose canary failed (onFailure: %s) keeps an older one from going back over it',
    async (onFailure) => {
      world = new World({ rings: [policy('canary', { onFailure }), policy('production')] });
      await world.deliver();
      await world.push({ plan: { inspections: 40 } });
      await world.until(() => world.outside.builds.length === 2);
      await world.push({ plan: { release: 'unhealthy' } });
      await world.settle();
      expect(await world.run(2)).toMatchObject({ outcome: 'superseded' });
    },
  );

  it('that took the canary before a promoted run got the lock makes that one end as superseded', async () => {
    await world.deliver();
    await world.deliver();
    await world.push();
    await world.settle();
    hold('production', true);
    await world.rollback();
    await world.until(async () => (await world.records.list('locks')).some((lock) => lock.runId === 'web-4'));
    await world.promote();
    await world.untilRun(3, { waitingFor: 'rollout-lock' });
    await world.push();
    await world.untilRun(5, { waitingFor: 'rollout-lock' });
    hold('production', false);
    await world.settle();
    expect(await outcomes()).toMatchObject({ 'web-4': 'succeeded', 'web-3': 'superseded', 'web-5': 'promotion' });
    expect(world.versionsOf('production')).toEqual([(await world.run(1)).version]);
  });
});

describe('promote', () => {
  it('refuses what the caller did not see', async () => {
    await world.push();
    await world.settle();
    const { version } = await world.run(1);
    if (version === null) throw new Error('no version');
    await world.push();
    await world.settle();
    await expect(world.promote({ ifCanary: version })).rejects.toMatchObject({ code: 'PROMOTION_OVERTAKEN' });
    expect(await world.records.list('promotions')).toEqual([]);
    const { version: newer } = await world.run(2);
    if (newer === null) throw new Error('no version');
    await expect(world.promote({ ifCanary: newer })).resolves.toMatchObject({ version: newer, runId: 'web-2' });
  });

  it.each<[string, () => Promise<unknown>, Parameters<World['promote']>[0], string]>([
    ['an app nobody has pushed', async () => {}, {}, 'APP_UNKNOWN'],
    ['to an unknown ring', () => world.deliver(), { ring: policy('staging').name }, 'RING_UNKNOWN'],
    ['to the first ring', () => world.deliver(), { ring: CANARY }, 'RING_IS_FIRST'],
    ['what production runs already', () => world.deliver(), {}, 'PROMOTION_NOTHING_THERE'],
    ['while CI builds', () => world.push({ plan: { inspections: IN_MINUTES } }), { ring: PRODUCTION }, 'PROMOTION_NOTHING_THERE'],
  ])('refuses %s, and changes nothing', async (_name, prepare, request, code) => {
    await prepare();
    const before = await world.records.list('promotions');
    await expect(world.promote(request)).rejects.toMatchObject({ code });
    expect(await world.records.list('promotions')).toEqual(before);
    expect(await world.records.list('runs', { where: { kind: 'promotion' } })).toEqual([]);
  });

  it('refuses while the canary is being rolled out', async () => {
    await world.deliver();
    await world.push();
    hold('canary', true);
    await world.until(() => world.outside.batches.length === 3);
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_NOT_VERIFIED' });
    hold('canary', false);
    await world.settle();
  });

  it('refuses while the end of the bake is being judged', async () => {
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    hold('canary', true);
    await world.untilRun(1, { state: 'active' });
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_TOO_EARLY' });
    hold('canary', false);
    await world.settle();
    expect(await outcomes()).toEqual({ 'web-1': 'promotion' });
  });

  it('asked twice is asked once', async () => {
    await world.deliver();
    await world.push();
    await world.settle();
    hold('production', true);
    const first = await world.promote();
    await world.until(() => world.outside.batches.length === 4);
    expect(await world.promote()).toEqual(first);
    hold('production', false);
    await world.settle();
    expect(await outcomes()).toEqual({ 'web-1': 'succeeded', 'web-2': 'succeeded' });
    expect(world.outside.advertisements.filter((each) => each.ring === 'production')).toHaveLength(2);
  });

  it('asked for at the same moment by many is one rollout', async () => {
    await world.push();
    await world.settle();
    const asked = await Promise.allSettled(Array.from({ length: 10 }, () => world.promote()));
    await world.settle();
    expect(new Set(asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value.runId] : [])))).toEqual(new Set(['web-1']));
    expect(world.outside.advertisements.filter((each) => each.ring === 'production')).toHaveLength(1);
  });

  it('looks at the canary anew: one that fell ill meanwhile is refused by the guard, and production keeps what it has', async () => {
    await world.deliver();
    await world.push();
    await world.settle();
    world.host('canary1').sick = true;
    await world.promote();
    await world.settle();
    expect(await world.run(2)).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(/does not run .* verified now.*canary1/) });
    expect(world.versionsOf('production')).toEqual([(await world.run(1)).version]);
    world.host('canary1').sick = false;
    await world.promote();
    await world.settle();
    expect(world.versionsOf('production')).toEqual([(await world.run(2)).version]);
  });

  it('begins a run of its own when the run that brought the canary has ended', async () => {
    await world.push();
    await world.settle();
    await world.cancel('web-1');
    await world.settle();
    expect(await world.promote()).toMatchObject({ runId: 'web-2', ring: 'production' });
    await world.settle();
    expect(await world.run(2)).toMatchObject({ kind: 'promotion', outcome: 'succeeded', sha: (await world.run(1)).sha });
  });
});

describe('rollback', () => {
  it('of the canary while it is watched takes it back at once, also before a newer run that waits for the lock', async () => {
    const { version } = await world.deliver();
    await world.push();
    await world.untilRun(2, { waitingFor: 'bake' });
    await world.push();
    await world.untilRun(3, { waitingFor: 'rollout-lock' });
    expect(await world.rollback({ ring: CANARY })).toMatchObject({ runId: 'web-4', ring: 'canary', version });
    await world.settle();
    expect(await world.run(2)).toMatchObject({ outcome: 'rolled-back', reason: `anna rolled canary back to ${version}` });
    expect(world.host('canary1').installs.map((each) => each.version)).toEqual([
      version,
      (await world.run(2)).version,
      version,
      (await world.run(3)).version,
    ]);
    expect(await outcomes()).toMatchObject({ 'web-3': 'promotion', 'web-4': 'succeeded' });
    const ends = await world.records.list('audit', { where: { action: 'run.end', subject: 'web-2' } });
    expect(ends).toMatchObject([{ actor: 'anna' }]);
  });

  it('of the canary while its run waits for promotion ends that run', async () => {
    const { version } = await world.deliver();
    await world.push();
    await world.settle();
    await world.rollback({ ring: CANARY });
    await world.settle();
    expect(await outcomes()).toEqual({ 'web-1': 'succeeded', 'web-2': 'rolled-back', 'web-3': 'succeeded' });
    expect(world.versionsOf('canary')).toEqual([version]);
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_NOTHING_THERE' });
  });

  it('of production goes back one release each time, and then says that there is none', async () => {
    const versions = [(await world.deliver()).version, (await world.deliver()).version, (await world.deliver()).version];
    for (const expected of [versions[1], versions[0]]) {
      expect(await world.rollback()).toMatchObject({ ring: 'production', version: expected });
      await world.settle();
      expect(world.versionsOf('production')).toEqual([expected]);
      expect(world.advertisedFor('production')).toBe(expected);
    }
    await expect(world.rollback()).rejects.toMatchObject({ code: 'ROLLBACK_NO_RELEASE' });
    expect(world.versionsOf('canary')).toEqual([versions[2]]);
  });

  it('of production leaves a canary that waits for promotion waiting', async () => {
    await world.deliver();
    await world.deliver();
    await world.push();
    await world.settle();
    await world.rollback();
    await world.settle();
    expect(await outcomes()).toMatchObject({ 'web-3': 'promotion', 'web-4': 'succeeded' });
    await world.promote();
    await world.settle();
    expect(world.versionsOf('production')).toEqual([(await world.run(3)).version]);
  });

  it('of any ring waits behind an install that is under way, and is next', async () => {
    await world.deliver();
    const { version } = await world.deliver();
    await world.push();
    hold('canary', true);
    await world.until(() => world.outside.batches.length === 5);
    await world.push();
    await world.untilRun(4, { waitingFor: 'rollout-lock' });
    const back = await world.rollback({ ring: CANARY });
    expect(back).toMatchObject({
      runId: 'web-5',
      version,
      did: [`waits behind web-3's rollout of canary, then canary goes back to ${version}; that run ends there`],
    });
    await world.untilRun(5, { waitingFor: 'rollout-lock' });
    hold('canary', false);
    await world.settle();
    expect(await outcomes()).toMatchObject({ 'web-3': 'rolled-back', 'web-4': 'promotion', 'web-5': 'succeeded' });
    const third = (await world.run(3)).version;
    const installs = world.host('canary1').installs.map((each) => each.version);
    expect(installs.slice(installs.findIndex((each) => each === third))).toEqual([third, version, (await world.run(4)).version]);
    expect(await world.records.list('locks')).toEqual([]);
  });

  it('of a ring whose install fails meanwhile goes back once, and not twice', async () => {
    const first = await world.deliver();
    const second = await world.deliver();
    await world.push();
    await world.settle();
    hold('production', true);
    await world.promote();
    await world.until(() => world.outside.batches.length === 6);
    for (const host of world.hostsOf('production')) host.sick = (await world.run(3)).sha.slice(0, 7);
    await world.rollback();
    hold('production', false);
    await world.settle();
    expect(await outcomes()).toMatchObject({ 'web-3': 'rolled-back', 'web-4': 'succeeded' });
    expect(world.versionsOf('production')).toEqual([second.version]);
    expect(world.outside.advertisements.filter((each) => each.ring === 'production').map((each) => each.document.version)).toEqual([
      first.version,
      second.version,
      (await world.run(3)).version,
      second.version,
    ]);
  });

  it('of production while a canary bakes goes at once, and that bake goes on to its promotion', async () => {
    const { version } = await world.deliver();
    await world.deliver();
    await world.push();
    await world.untilRun(3, { waitingFor: 'bake' });
    const { dueAt } = await world.run(3);
    expect(await world.rollback()).toMatchObject({
      ring: 'production',
      version,
      did: [`production goes back to ${version} now`, 'the bake of canary goes on (run web-3)'],
    });
    await world.untilRun(4, { state: 'ended' });
    expect(await world.run(3)).toMatchObject({ waitingFor: 'bake', dueAt });
    expect(world.versionsOf('production')).toEqual([version]);
    await world.settle();
    expect(await outcomes()).toMatchObject({ 'web-3': 'promotion', 'web-4': 'succeeded' });
    await world.promote();
    await world.settle();
    expect(world.versionsOf('production')).toEqual([(await world.run(3)).version]);
  });

  it('of production while production bakes ends that bake, and the next push and promotion do not wait for it', async () => {
    world = new World({ rings: [policy('canary'), policy('production', { bakeMs: 3_600_000 })] });
    const { version } = await world.deliver();
    await world.push();
    await world.settle();
    await world.promote();
    await world.untilRun(2, { stage: 'bake:production', waitingFor: 'bake' });
    expect((await world.rollback()).did).toEqual(['ends the bake of production (run web-2)', `production goes back to ${version} now`]);
    await world.push();
    await world.settle();
    expect(await outcomes()).toMatchObject({ 'web-2': 'rolled-back', 'web-3': 'succeeded', 'web-4': 'promotion' });
    expect(world.versionsOf('production')).toEqual([version]);
    await world.promote();
    await world.untilRun(4, { stage: 'bake:production' });
    expect(world.versionsOf('production')).toEqual([(await world.run(4)).version]);
    await world.settle();
  });

  it('leaves a release that nobody watched to the end behind: no canary goes back to it', async () => {
    world = new World({ rings: [policy('canary'), policy('production', { bakeMs: 3_600_000 })] });
    const { version } = await world.deliver();
    await world.push();
    await world.settle();
    await world.promote();
    await world.untilRun(2, { stage: 'bake:production', waitingFor: 'bake' });
    hold('production', true);
    await world.rollback();
    await world.push({ plan: { release: 'unhealthy' } });
    await world.pass(20_000);
    hold('production', false);
    await world.settle();
    expect(world.versionsOf('canary')).toEqual([version]);
  });

  it('asked for twice goes back one release, and names the run that does it', async () => {
    await world.deliver();
    const { version } = await world.deliver();
    await world.deliver();
    hold('production', true);
    const first = await world.rollback();
    expect(await world.rollback()).toEqual({ ...first, did: [`run ${first.runId} brings production back to ${version} already`] });
    hold('production', false);
    await world.settle();
    expect(world.versionsOf('production')).toEqual([version]);
    expect((await world.records.list('audit', { where: { action: 'run.rollback' } })).map((line) => line.subject)).toEqual([
      first.runId,
      first.runId,
    ]);
  });

  it('goes where it was said to go, also when another ring has moved before its turn', async () => {
    const { version } = await world.deliver();
    await world.push();
    await world.settle();
    hold('production', true);
    await world.promote();
    await world.until(() => world.outside.batches.length === 4);
    expect(await world.rollback({ ring: CANARY })).toMatchObject({ version });
    hold('production', false);
    await world.settle();
    expect(world.versionsOf('canary')).toEqual([version]);
  });

  it('is cancelled while it waits, and the runs behind it go on', async () => {
    await world.deliver();
    await world.push();
    hold('canary', true);
    await world.until(() => world.outside.batches.length === 3);
    await world.rollback({ ring: CANARY });
    await world.untilRun(3, { waitingFor: 'rollout-lock' });
    expect(await world.cancel('web-3')).toEqual({ runId: 'web-3', did: ['ends the run now'] });
    await world.untilRun(3, { state: 'ended' });
    hold('canary', false);
    await world.settle();
    expect(await outcomes()).toMatchObject({ 'web-2': 'promotion', 'web-3': 'cancelled' });
  });

  it('of a ring from which a promotion is asked keeps that promotion out', async () => {
    await world.deliver();
    await world.push();
    await world.settle();
    hold('canary', true);
    await world.rollback({ ring: CANARY });
    await expect(world.promote()).rejects.toMatchObject({ code: expect.stringMatching(/^(ROLLBACK_UNDER_WAY|PROMOTION_)/) });
    hold('canary', false);
    await world.settle();
  });

  it('of an unknown ring is refused', async () => {
    await world.deliver();
    await expect(world.rollback({ ring: policy('staging').name })).rejects.toMatchObject({ code: 'RING_UNKNOWN' });
  });

  it('of a first canary is refused when production never ran anything', async () => {
    await world.push();
    await world.settle();
    await expect(world.rollback({ ring: CANARY })).rejects.toMatchObject({ code: 'ROLLBACK_NO_RELEASE' });
    expect(await outcomes()).toEqual({ 'web-1': 'promotion' });
  });
});

describe('cancel', () => {
  it.each<[string, () => Promise<void> | void, () => Promise<void>]>([
    ['while CI builds', () => {}, () => world.until(() => world.outside.builds.length === 1)],
    [
      'while it is packaged',
      () => failCalls(world.outside, 'packager.package', 'retry'),
      () => world.until(() => world.calls('packager.package') === 1),
    ],
    [
      'while it is published',
      () => failCalls(world.outside, 'repository.publish', 'retry'),
      () => world.until(() => world.calls('repository.publish') === 1),
    ],
    [
      'while its rollout is planned',
      () => failCalls(world.outside, 'advertiser.read', 'retry'),
      () => world.until(() => world.calls('advertiser.read') === 1),
    ],
    ['while the canary is rolled out', () => hold('canary', true), () => world.until(() => world.outside.batches.length === 1)],
    ['while the canary is watched', () => {}, () => world.untilRun(1, { waitingFor: 'bake' })],
    ['while it waits for promotion', () => {}, () => world.untilRun(1, { waitingFor: 'promotion' })],
  ])('%s ends the run as cancelled, and production is never touched', async (_name, prepare, moment) => {
    await prepare();
    await world.push({ plan: { inspections: IN_MINUTES } });
    if (_name !== 'while CI builds')
      for (const commit of world.outside.repositories.values().next().value?.commits.values() ?? [])
        Object.assign(commit.plan, { inspections: 1 });
    await moment();
    await world.cancel('web-1');
    hold('canary', false);
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'cancelled', reason: expect.stringMatching(/^Cancelled by anna/) });
    expect(world.outside.advertisements.filter((each) => each.ring === 'production')).toEqual([]);
    expect(await world.records.list('locks')).toEqual([]);
    expect(world.outside.folders).toEqual(new Set());
  });

  it('stops the build in the CI', async () => {
    await world.push({ plan: { inspections: IN_MINUTES } });
    await world.until(() => world.outside.builds.length === 1);
    await world.cancel('web-1');
    await world.settle();
    expect(world.outside.builds[0]?.cancelled).toBe(true);
    expect(world.calls('ci.cancel')).toBe(1);
  });

  it('never cuts off a rollout of production: there is nothing behind it to leave out', async () => {
    await world.push();
    await world.settle();
    hold('production', true);
    await world.promote();
    await world.until(() => world.outside.batches.length === 2);
    await world.cancel('web-1');
    hold('production', false);
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'succeeded' });
  });

  it('ends a bake at once, and what was not watched to the end is never promoted', async () => {
    await world.deliver();
    await world.push();
    await world.untilRun(2, { waitingFor: 'bake' });
    expect((await world.cancel('web-2')).did).toEqual([
      expect.stringMatching(/^ends the bake of canary: .* stays there and counts as failed/),
    ]);
    const before = world.clock.time;
    await world.untilRun(2, { outcome: 'cancelled' });
    expect(world.clock.time - before).toBeLessThan(10_000);
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_NOT_VERIFIED' });
    await world.push();
    await world.settle();
    expect(await outcomes()).toMatchObject({ 'web-3': 'promotion' });
  });

  it('while it waits for the lock ends it at once', async () => {
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    await world.push();
    await world.untilRun(2, { waitingFor: 'rollout-lock' });
    await world.cancel('web-2');
    await world.settle();
    expect(await outcomes()).toEqual({ 'web-1': 'promotion', 'web-2': 'cancelled' });
  });

  it('of a run that has ended, or never was, is refused', async () => {
    await world.deliver();
    await expect(world.cancel('web-1')).rejects.toMatchObject({ code: 'RUN_ENDED' });
    await expect(world.cancel('web-9')).rejects.toMatchObject({ code: 'RUN_UNKNOWN' });
  });
});

describe('when somebody else writes the advertised version', () => {
  const advertise = (sequence: number): void => {
    const ring = 'web:app:canary';
    const there = world.outside.advertised.get(ring);
    if (there === undefined) throw new Error('nothing is advertised');
    const document = { ...there.document, sequence };
    world.outside.advertised.set(ring, { document, revision: there.revision + 1 });
  };

  it('a rollout takes a sequence beyond it', async () => {
    await world.deliver();
    advertise(40);
    const run = await world.deliver();
    const [rollout] = await world.records.list('rollouts', { where: { runId: run.id, ring: CANARY } });
    expect(rollout?.sequence).toBe(41);
  });

  it('a rollout that finds a newer one there ends as superseded, and does not write over it', async () => {
    await world.deliver();
    failCalls(world.outside, 'repository.offer', 'retry');
    await world.push();
    await world.until(() => world.outside.faults.get('repository.offer')?.length === 0);
    advertise(40);
    await world.settle();
    expect(await world.run(2)).toMatchObject({ outcome: 'superseded', reason: expect.stringMatching(/rollout 40.*newer than rollout 2/) });
    expect(world.outside.advertised.get('web:app:canary')?.document.sequence).toBe(40);
    expect(await world.records.list('locks')).toEqual([]);
  });
});

it('a run that waits for promotion is promoted under a pipit whose plan has a stage more', async () => {
  await world.push();
  await world.settle();
  const run = await world.run(1);
  // What a newer pipit plans: the waiting run has completed none of the stages that it adds in front.
  const older = planStages(run).map((stage) => stage.name);
  await world.records.transaction((transaction) =>
    transaction.update('runs', { id: run.id }, { completedStages: older.slice(1, older.indexOf('promotion:production')) }),
  );
  await world.stop();
  await world.promote();
  await world.settle();
  expect(await world.run(1)).toMatchObject({ outcome: 'succeeded' });
  expect(world.outside.builds).toHaveLength(1);
});

it('a ring added to the config does not let a run that waits reach production past it unasked', async () => {
  await world.push();
  await world.settle();
  world.rings = [policy('canary'), policy('production', { promotion: 'automatic' })];
  await world.pass(60_000);
  expect(await outcomes()).toEqual({ 'web-1': 'promotion' });
});
