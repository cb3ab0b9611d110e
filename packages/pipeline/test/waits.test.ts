import { beforeEach, describe, expect, it } from 'vitest';
import type { RunRow } from '../src/index.js';
import { policy, World } from './world/world.js';

const CANARY = policy('canary').name;
const DAY_MS = 24 * 3_600_000;
const MINUTE_MS = 60_000;

let world: World;
beforeEach(() => {
  world = new World();
});

const hold = (ring: string, busy: boolean): void => {
  for (const host of world.hostsOf(ring)) host.busy = busy;
};

describe('a bake', () => {
  const baking = async (bakeMs: number): Promise<RunRow> => {
    world = new World({ rings: [policy('canary', { bakeMs }), policy('production')] });
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    return world.run(1);
  };
  /** How long the world went on until the bake was over. */
  const watchedFor = async (): Promise<number> => {
    const begun = world.clock.time;
    await world.untilRun(1, { waitingFor: 'promotion' });
    return world.clock.time - begun;
  };

  it.each([
    ['forward', DAY_MS],
    ['back', -DAY_MS],
  ])('is watched for as long when the clock steps %s by a day', async (_way, ms) => {
    await baking(10 * MINUTE_MS);
    await world.pass(2 * MINUTE_MS);
    world.clock.step(ms);
    const rest = await watchedFor();
    expect(rest).toBeGreaterThanOrEqual(8 * MINUTE_MS - 10_000);
    expect(rest).toBeLessThan(9 * MINUTE_MS);
  });

  it('says when it will be over by the clock as it is now', async () => {
    const { dueAt } = await baking(10 * MINUTE_MS);
    expect(Date.parse(dueAt ?? '') - world.clock.now().getTime()).toBe(10 * MINUTE_MS);
    world.clock.step(DAY_MS);
    await world.pass(20_000);
    const moved = Date.parse((await world.run(1)).dueAt ?? '') - world.clock.now().getTime();
    expect(Math.abs(moved - (10 * MINUTE_MS - 20_000))).toBeLessThan(15_000);
  });

  it('goes on behind a crash with what was watched, and never ends early', async () => {
    await baking(10 * MINUTE_MS);
    await world.pass(4 * MINUTE_MS);
    world.crash();
    const rest = await watchedFor();
    expect(rest).toBeGreaterThanOrEqual(6 * MINUTE_MS);
    expect(rest).toBeLessThan(6 * MINUTE_MS + 30_000);
  });

  it('does not count the time while pipit was down', async () => {
    await baking(10 * MINUTE_MS);
    await world.pass(MINUTE_MS);
    world.crash();
    // Nobody watches, and the machine's time goes on.
    world.clock.skip(DAY_MS);
    expect(await watchedFor()).toBeGreaterThanOrEqual(9 * MINUTE_MS);
  });

  it('does not count a gap in which nobody looked', async () => {
    await baking(10 * MINUTE_MS);
    await world.pass(MINUTE_MS);
    // The process was frozen: its clock went on, it did not look.
    world.clock.skip(DAY_MS);
    expect(await watchedFor()).toBeGreaterThanOrEqual(8 * MINUTE_MS);
  });

  it('stores what was watched seldom, and tells nobody of it', async () => {
    world = new World({ rings: [policy('canary', { bakeMs: 10 * MINUTE_MS }), policy('production')] });
    world.notified = true;
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    await world.pass(MINUTE_MS);
    const told = world.outside.notices.length;
    await world.pass(5 * MINUTE_MS);
    expect(world.outside.notices.length).toBe(told);
    expect((await world.run(1)).waitedMs).toBeGreaterThan(5 * MINUTE_MS);
  });
});

describe('a fault that may pass', () => {
  it.each([
    ['ci.start', 'build'],
    ['ci.inspect', 'build'],
    ['packager.package', 'package'],
    ['repository.publish', 'publish'],
    ['repository.offer', 'rollout:canary'],
    ['advertiser.write', 'rollout:canary'],
    ['deployer.start', 'rollout:canary'],
    ['deployer.observe', 'rollout:canary'],
  ])('of %s for ten minutes makes the run wait at %s, and it goes on with each effect once', async (call, stage) => {
    world.outage(call, 10 * MINUTE_MS);
    await world.push();
    await world.untilRun(1, { waitingFor: 'outside' });
    const waiting = await world.run(1);
    expect(waiting).toMatchObject({ state: 'waiting', stage, reason: expect.stringMatching(/does not answer/) });
    expect(waiting.dueAt).not.toBeNull();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ waitingFor: 'promotion' });
    expect(world.outside.builds).toHaveLength(1);
    expect(world.outside.publications).toHaveLength(1);
    expect(world.outside.advertisements).toHaveLength(1);
    expect(world.outside.batches).toHaveLength(1);
    expect(world.outside.folders).toEqual(new Set());
  });

  it('fails the run after 15 minutes, and says what it waited for', async () => {
    world.outage('repository.publish', DAY_MS);
    await world.push();
    const begun = world.clock.time;
    await world.untilRun(1, { state: 'ended' });
    expect(world.clock.time - begun).toBeGreaterThan(15 * MINUTE_MS);
    expect(world.clock.time - begun).toBeLessThan(20 * MINUTE_MS);
    expect(await world.run(1)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/does not answer; still so after \d+ rounds within 15 min$/),
    });
  });

  it('is waited for as long as the config says, whatever is done to the clock', async () => {
    world.patienceMs = MINUTE_MS;
    world.outage('repository.publish', DAY_MS);
    await world.push();
    await world.untilRun(1, { waitingFor: 'outside' });
    const begun = world.clock.time;
    world.clock.step(-DAY_MS);
    await world.untilRun(1, { state: 'ended' });
    expect(world.clock.time - begun).toBeLessThan(3 * MINUTE_MS);
  });

  it('is not waited for when a person, a test or the release has failed', async () => {
    await world.push({ plan: { ci: 'fails' } });
    await world.settle();
    expect((await world.run(1)).waitedMs).toBe(0);
    expect(await world.records.list('operations', { where: { round: 1 } })).toHaveLength(1);
  });

  it('names a full disk by its path, and what to do', async () => {
    world.outage('packager.package', 5 * MINUTE_MS, 'disk full');
    await world.push();
    await world.untilRun(1, { waitingFor: 'outside' });
    const { reason } = await world.run(1);
    expect(reason).toMatch(/The disk is full at \/var\/lib\/pipit\/work\/x/);
    expect(reason).toMatch(/Make room there/);
    await world.settle();
    expect(await world.run(1)).toMatchObject({ waitingFor: 'promotion' });
  });

  it('half-way through an install holds up no rollback: of its own ring that ends it, of another ring it goes on', async () => {
    await world.deliver();
    const { version } = await world.deliver();
    world.outage('deployer.start', 8 * MINUTE_MS);
    await world.push();
    await world.untilRun(3, { waitingFor: 'outside' });
    expect(await world.records.list('locks')).toMatchObject([{ name: 'ring:web:app:canary' }]);
    world.outside.outages.clear();
    const back = await world.rollback({ ring: CANARY });
    expect(back.did[0]).toMatch(/^ends the rollout of canary, which waits .*run web-3/);
    await world.settle();
    expect(await world.run(3)).toMatchObject({ outcome: 'rolled-back' });
    expect(world.versionsOf('canary')).toEqual([version]);
    expect(await world.records.list('operations', { where: { state: 'waiting' } })).toEqual([]);
  });

  it('ends at once when the run is cancelled, and half of a rollout goes back', async () => {
    const { version } = await world.deliver();
    world.outage('deployer.start', MINUTE_MS);
    await world.push();
    await world.untilRun(2, { waitingFor: 'outside' });
    await world.cancel('web-2');
    await world.settle();
    expect(await world.run(2)).toMatchObject({ outcome: 'rolled-back', reason: expect.stringMatching(/cancelled by anna/) });
    expect(world.versionsOf('canary')).toEqual([version]);
  });

  it('of a build ends with a cancel as cancelled', async () => {
    world.outage('ci.start', DAY_MS);
    await world.push();
    await world.untilRun(1, { waitingFor: 'outside' });
    expect((await world.cancel('web-1')).did).toEqual(['ends the run now']);
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'cancelled', reason: 'Cancelled by anna' });
  });

  it('goes on behind a crash in the middle of the wait, at the same round', async () => {
    world.outage('repository.publish', 5 * MINUTE_MS);
    await world.push();
    await world.untilRun(1, { waitingFor: 'outside' });
    world.crash();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ waitingFor: 'promotion' });
    expect(world.outside.publications).toHaveLength(1);
  });
});

describe('retry', () => {
  const failAt = async (call: string): Promise<void> => {
    world.patienceMs = 0;
    world.outage(call, DAY_MS);
    await world.push();
    await world.untilRun(1, { state: 'ended' });
    world.outside.outages.clear();
  };

  it.each([
    ['ci.start', 'build'],
    ['packager.package', 'package'],
    ['repository.publish', 'publish'],
    ['advertiser.read', 'rollout:canary'],
  ])('of a run that failed by %s goes on at %s with the next try, and is on record', async (call, stage) => {
    await failAt(call);
    expect(await world.run(1)).toMatchObject({ outcome: 'failed', stage });
    expect(await world.retry('web-1', { reason: 'mended' })).toEqual({ runId: 'web-1', stage, attempt: 2 });
    await world.settle();
    expect(await world.run(1)).toMatchObject({ waitingFor: 'promotion', attempt: 2 });
    expect(world.outside.builds).toHaveLength(1);
    expect(world.outside.publications).toHaveLength(1);
    const operations = await world.records.list('operations', { where: { stage } });
    expect(operations.map((each) => each.id)).toEqual([`web-1:${stage}:1`, `web-1:${stage}:2`]);
    expect(await world.records.list('audit', { where: { action: 'run.retry' } })).toMatchObject([
      { actor: 'anna', subject: 'web-1', detail: { stage, attempt: 2, why: 'mended' } },
    ]);
    expect(await world.brokenAudit()).toBeUndefined();
  });

  it('of a failed build is a new build with a key of its own', async () => {
    const { plan } = await world.push({ plan: { ci: 'fails' } });
    await world.settle();
    Object.assign(plan, { ci: 'passes' });
    await world.retry('web-1');
    await world.settle();
    expect(await world.run(1)).toMatchObject({ waitingFor: 'promotion' });
    expect(world.outside.builds).toHaveLength(2);
    expect(new Set(world.outside.builds.map((build) => build.key)).size).toBe(2);
  });

  it('takes what the build made before the failure', async () => {
    await failAt('packager.package');
    await world.retry('web-1');
    await world.settle();
    const [request] = world.outside.packageRequests.slice(-1);
    const build = await world.records.list('operations', { where: { stage: 'build' } });
    expect(build[0]?.result).toMatchObject({ outputs: request?.outputs });
  });

  it.each<[string, () => Promise<unknown>, string, RegExp]>([
    ['nobody has seen', () => world.deliver(), 'RUN_UNKNOWN', /web-9/],
    ['went well', () => world.deliver(), 'RETRY_NOT_FAILED', /ended as succeeded/],
    [
      'was cancelled',
      async () => {
        await world.push();
        await world.settle();
        await world.cancel('web-1');
        await world.settle();
      },
      'RETRY_NOT_FAILED',
      /ended as cancelled/,
    ],
    [
      'was superseded',
      async () => {
        await world.push();
        await world.settle();
        await world.push();
        await world.settle();
      },
      'RETRY_NOT_FAILED',
      /ended as superseded/,
    ],
    [
      'waits',
      async () => {
        world.outage('ci.start', MINUTE_MS);
        await world.push();
        await world.untilRun(1, { waitingFor: 'outside' });
      },
      'RETRY_NOT_FAILED',
      /tries again by itself/,
    ],
    [
      'is older than what the canary runs',
      async () => {
        await world.push({ plan: { ci: 'fails' } });
        await world.settle();
        await world.push();
        await world.settle();
      },
      'RETRY_SUPERSEDED',
      /Run web-2 is newer/,
    ],
    [
      'is of an app that is bound elsewhere now',
      async () => {
        await world.push({ plan: { ci: 'fails' } });
        await world.settle();
        await world.records.transaction((transaction) => transaction.update('apps', { app: 'web' as never }, { repositoryId: '9' }));
      },
      'RETRY_BOUND_ELSEWHERE',
      /was for another/,
    ],
  ])('of a run that %s is refused with the reason, and changes nothing', async (name, prepare, code, message) => {
    await prepare();
    const before = await world.runs();
    const run = name.startsWith('nobody') ? 'web-9' : 'web-1';
    await expect(world.retry(run)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await world.runs()).toEqual(before);
    await world.settle();
  });

  it('of a canary whose bake failed brings the release there again and watches it from the beginning', async () => {
    world = new World({ rings: [policy('canary', { bakeMs: 60_000, onFailure: 'stop' }), policy('production')] });
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    world.host('canary1').sick = true;
    await world.untilRun(1, { state: 'ended' });
    world.host('canary1').sick = false;
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_NOT_VERIFIED' });
    expect(await world.retry('web-1')).toMatchObject({ stage: 'rollout:canary' });
    await world.untilRun(1, { waitingFor: 'bake' });
    const begun = world.clock.time;
    await world.untilRun(1, { waitingFor: 'promotion' });
    expect(world.clock.time - begun).toBeGreaterThanOrEqual(60_000);
  });

  it('of a rollback that failed goes back', async () => {
    const { version } = await world.deliver();
    await world.deliver();
    world.patienceMs = 0;
    world.outage('advertiser.read', DAY_MS);
    await world.rollback();
    await world.untilRun(3, { state: 'ended' });
    world.outside.outages.clear();
    expect(await world.retry('web-3')).toMatchObject({ stage: 'rollback:production' });
    await world.settle();
    expect(world.versionsOf('production')).toEqual([version]);
    await expect(world.retry('web-3')).rejects.toMatchObject({ code: 'RETRY_NOT_FAILED' });
  });
});

it('a rollback waits for the outside too, and forward runs wait behind it', async () => {
  const { version } = await world.deliver();
  await world.deliver();
  hold('production', false);
  world.outage('advertiser.read', 2 * MINUTE_MS);
  await world.rollback();
  await world.untilRun(3, { waitingFor: 'outside' });
  world.outside.outages.clear();
  await world.push();
  await world.settle();
  expect(await world.run(3)).toMatchObject({ outcome: 'succeeded' });
  expect(world.versionsOf('production')).toEqual([version]);
  expect(await world.run(4)).toMatchObject({ waitingFor: 'promotion' });
});
