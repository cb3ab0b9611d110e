import { beforeEach, describe, expect, it } from 'vitest';
import { createOperationCodes, type EngineContext, type OperationRow } from '../src/index.js';
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

describe('a release that nobody watched to the end', () => {
  /** Until the ring's bake is being judged, with hosts that are busy for a moment. */
  const untilJudged = async (number: number): Promise<void> => {
    await world.untilRun(number, { waitingFor: 'bake' });
    hold('canary', true);
    await world.until(async () => (await world.records.list('operations', { where: { type: 'watch', state: 'running' } })).length > 0);
  };

  it('is not promotable when the run is cancelled while the end of its bake is judged', async () => {
    await world.deliver();
    await world.push();
    await untilJudged(2);
    await world.cancel('web-2');
    await world.untilRun(2, { state: 'ended' });
    hold('canary', false);
    await world.settle();
    expect(await world.run(2)).toMatchObject({ outcome: 'cancelled' });
    await expect(world.promote({ ring: policy('production').name })).rejects.toMatchObject({ code: 'PROMOTION_NOT_VERIFIED' });
  });

  it('does not count as completed when it is rolled back while the end of its bake is judged', async () => {
    await world.deliver();
    await world.push();
    await untilJudged(2);
    // It comes to the hosts later than the look at them.
    world.outage('advertiser.read', MINUTE_MS);
    await world.rollback({ ring: CANARY });
    hold('canary', false);
    await world.settle();
    const { version } = await world.run(2);
    expect(await world.records.list('rollouts', { where: { runId: (await world.run(2)).id } })).toMatchObject([
      { version, state: 'failed' },
    ]);
  });

  it('is judged within minutes when the clock steps back by a day while its hosts are busy', async () => {
    await world.deliver();
    await world.push();
    await untilJudged(2);
    world.clock.step(-DAY_MS);
    const begun = world.clock.time;
    await world.until(async () => (await world.records.list('operations', { where: { type: 'watch', state: 'running' } })).length === 0);
    expect(world.clock.time - begun).toBeLessThan(5 * MINUTE_MS);
    hold('canary', false);
    await world.settle();
  });

  it('is not promotable when a rollback waited behind its install and failed then', async () => {
    await world.deliver();
    await world.push();
    hold('canary', true);
    await world.until(() => world.outside.batches.length === 3);
    await world.rollback({ ring: CANARY });
    await world.untilRun(3, { waitingFor: 'rollout-lock' });
    world.patienceMs = 0;
    world.outage('advertiser.read', DAY_MS);
    hold('canary', false);
    await world.settle();
    world.outside.outages.clear();
    expect(await world.run(2)).toMatchObject({ outcome: 'rolled-back' });
    expect(await world.run(3)).toMatchObject({ outcome: 'failed' });
    await expect(world.promote({ ring: policy('production').name })).rejects.toMatchObject({ code: 'PROMOTION_NOT_VERIFIED' });
  });
});

describe('a rollback', () => {
  it('asked for again behind a cancel is not lost', async () => {
    const { version } = await world.deliver();
    await world.push();
    hold('canary', true);
    await world.until(() => world.outside.batches.length === 3);
    const first = await world.rollback({ ring: CANARY });
    await world.untilRun(3, { waitingFor: 'rollout-lock' });
    // Both before the conductor looks again.
    await world.quarantine(true);
    await world.cancel(first.runId);
    expect((await world.rollback({ ring: CANARY })).version).toBe(version);
    await world.quarantine(false);
    hold('canary', false);
    await world.settle();
    expect(world.versionsOf('canary')).toEqual([version]);
  });

  it('that is half done when the outside goes away is not cut off by a cancel', async () => {
    const { version } = await world.deliver();
    await world.deliver();
    world.outage('deployer.start', 2 * MINUTE_MS);
    await world.rollback();
    await world.untilRun(3, { waitingFor: 'outside' });
    const { did } = await world.cancel('web-3');
    expect(did).toEqual(['production goes back all the same: a rollback under way is never cut off']);
    await world.settle();
    expect(await world.run(3)).toMatchObject({ outcome: 'succeeded' });
    expect(world.versionsOf('production')).toEqual([version]);
  });

  it('that has not begun when the outside goes away ends with a cancel', async () => {
    await world.deliver();
    const { version } = await world.deliver();
    world.outage('advertiser.read', 2 * MINUTE_MS);
    await world.rollback();
    await world.untilRun(3, { waitingFor: 'outside' });
    expect((await world.cancel('web-3')).did).toEqual(['ends the run now']);
    await world.settle();
    expect(await world.run(3)).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(/cancelled by anna/) });
    expect(world.versionsOf('production')).toEqual([version]);
  });

  it('that ends a run tells people so', async () => {
    world.notified = true;
    await world.deliver();
    await world.push();
    await world.untilRun(2, { waitingFor: 'promotion' });
    await world.until(() => world.outside.notices.some(({ notice }) => notice.subject === 'web-2' && notice.state === 'waiting'));
    await world.rollback({ ring: CANARY });
    await world.settle();
    await world.pass(MINUTE_MS);
    expect(world.outside.notices.filter(({ notice }) => notice.subject === 'web-2').at(-1)?.notice).toMatchObject({
      state: 'rolledBack',
      actions: [],
    });
  });
});

describe('a rollout that waits for the outside half-way', () => {
  it('is not interrupted by a newer run, which goes on behind it', async () => {
    await world.deliver();
    world.outage('deployer.start', 3 * MINUTE_MS);
    await world.push();
    await world.untilRun(2, { waitingFor: 'outside' });
    await world.push();
    await world.untilRun(3, { waitingFor: 'rollout-lock' });
    await world.settle();
    const { completedStages, outcome } = await world.run(2);
    expect(outcome).toBe('superseded');
    expect(completedStages).toContain('bake:canary');
    expect(await world.run(3)).toMatchObject({ waitingFor: 'promotion' });
  });
});

it('a promotion asked for behind a cancel is not lost', async () => {
  await world.push();
  await world.settle();
  // Both before the conductor looks again.
  await world.quarantine(true);
  await world.cancel('web-1');
  const { runId, version } = await world.promote();
  await world.quarantine(false);
  await world.untilRun(1, { state: 'ended' });
  await world.settle();
  expect(runId).not.toBe('web-1');
  expect(world.versionsOf('production')).toEqual([version]);
});

describe('retry', () => {
  /** A run whose release failed in production, and whose rollback failed too. */
  const failTwice = async (): Promise<void> => {
    await world.push();
    await world.settle();
    const number = (await world.runs()).length;
    for (const host of world.hostsOf('production')) host.sick = true;
    await world.promote();
    await world.untilRun(number, { state: 'ended' });
    for (const host of world.hostsOf('production')) host.sick = false;
    expect(await world.run(number)).toMatchObject({ outcome: 'failed', stage: 'rollback:production' });
  };

  it('of a run whose own rollback failed does not go back behind what came to the ring since', async () => {
    await world.deliver();
    await world.deliver();
    await world.deliver();
    await failTwice();
    const { version } = await world.rollback();
    await world.settle();
    expect(world.versionsOf('production')).toEqual([version]);
    await expect(world.retry('web-4')).rejects.toMatchObject({ code: 'RETRY_SUPERSEDED' });
    expect(world.versionsOf('production')).toEqual([version]);
  });

  it('of a run whose own rollback failed is refused while another run brings that ring back', async () => {
    await world.deliver();
    await world.deliver();
    await failTwice();
    hold('production', true);
    await world.rollback();
    await expect(world.retry('web-3')).rejects.toMatchObject({ code: 'RETRY_SUPERSEDED' });
    hold('production', false);
    await world.settle();
  });

  it('of a rollback that failed before it was planned is refused when an older run brought the ring something since', async () => {
    await world.deliver();
    await world.deliver();
    await world.push();
    await world.settle();
    world.patienceMs = 0;
    world.outage('advertiser.read', DAY_MS);
    await world.rollback();
    await world.untilRun(4, { state: 'ended' });
    world.outside.outages.clear();
    await world.promote();
    await world.settle();
    const { version } = await world.run(3);
    expect(world.versionsOf('production')).toEqual([version]);
    await expect(world.retry('web-4')).rejects.toMatchObject({ code: 'RETRY_SUPERSEDED' });
  });

  it('of a run that failed at production does not go past a ring that the config has now', async () => {
    world = new World({
      rings: [policy('canary'), policy('production')],
      hosts: { canary: ['canary1'], staging: ['stage1'], production: ['web1'] },
    });
    await world.push();
    await world.settle();
    world.patienceMs = 0;
    world.outage('advertiser.read', DAY_MS);
    await world.promote();
    await world.untilRun(1, { state: 'ended' });
    world.outside.outages.clear();
    world.rings = [policy('canary'), policy('staging'), policy('production')];
    await world.retry('web-1').catch(() => undefined);
    await world.settle();
    expect(world.versionsOf('production')).toEqual([undefined]);
  });
});

describe('a server that was frozen', () => {
  /** What a server does that comes to the last step of an operation long after another one has done it. */
  const finishAgain = async (operation: OperationRow, mayPass: boolean): Promise<void> => {
    const loaded = { operation: { ...operation, state: 'pending' }, run: await world.run(1) };
    const failed = { ok: false, cancelled: false, mayPass, error: { code: 'X', message: 'does not answer' } };
    const context: EngineContext = {
      // As they were recorded.
      step: async (name, work) =>
        name === 'finish' ? work() : ((name === 'begin' ? loaded : failed) as unknown as ReturnType<typeof work>),
    };
    const { records, clock, logger } = world;
    const ports = { records, clock, logger, observer: {}, onOperationEnded: () => undefined };
    // The last step needs no more.
    const codes = createOperationCodes(ports as unknown as Parameters<typeof createOperationCodes>[0]);
    await codes.find((code) => code.type === operation.type)?.run(operation.id, operation.input, context);
  };
  const first = async (stage: string): Promise<OperationRow> => {
    const [operation] = await world.records.list('operations', { where: { stage } });
    if (operation === undefined) throw new Error(`There is no operation at ${stage}`);
    return operation;
  };

  it('does not undo the next round of an operation by the end of the one before', async () => {
    world.outage('ci.start', MINUTE_MS);
    await world.push({ plan: { inspections: 1_000 } });
    await world.untilRun(1, { waitingFor: 'outside' });
    const before = await first('build');
    await world.until(async () => (await first('build')).state === 'running');
    const under = await first('build');
    expect(under.round).toBeGreaterThan(before.round);
    await finishAgain(before, true);
    expect(await first('build')).toEqual(under);
  });

  it('does not undo the next try of a bake by the end of the one before', async () => {
    world = new World({ rings: [policy('canary', { bakeMs: MINUTE_MS, onFailure: 'stop' }), policy('production')] });
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    world.host('canary1').sick = true;
    await world.untilRun(1, { state: 'ended' });
    world.host('canary1').sick = false;
    await world.retry('web-1');
    await world.untilRun(1, { waitingFor: 'bake' });
    await finishAgain(await first('bake:canary'), false);
    await world.settle();
    expect(await world.run(1)).toMatchObject({ waitingFor: 'promotion' });
  });
});
