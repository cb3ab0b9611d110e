import { createTestLogger } from '@pipit/plugin-testing';
import { describe, expect, it } from 'vitest';
import { createMemoryRecords, type Part, type PipelineDefinition, type RunId, type RunRow } from '../src/index.js';
import { markNotice } from '../src/notices/mark-notice.js';
import { createNoticeSender } from '../src/notices/send-notices.js';
import { failCalls } from './world/outside.js';
import { MAIN, policy, REPOSITORY, ROLE, World } from './world/world.js';
import { createWorldClock } from './world/world-clock.js';

const automatic = [policy('canary', { bakeMs: 10_000 }), policy('production', { promotion: 'automatic' })];

const notified = (options: ConstructorParameters<typeof World>[0] = {}): World => {
  const world = new World(options);
  world.notified = true;
  return world;
};

const isTold = async (world: World): Promise<boolean> => (await world.records.list('notices')).every((row) => row.dueAt === null);

const states = (world: World): readonly string[] => world.outside.notices.map(({ notice }) => notice.state);

const definitionWith = (notifier: PipelineDefinition['notifiers'][number]): PipelineDefinition => {
  const unused = { instance: 'unused', options: {}, subject: {} } as Part<never>; // sending notices looks at the notifiers alone
  const parts = { ci: unused, packager: unused, repository: unused, discovery: unused, advertiser: unused, deployer: unused };
  return {
    name: 'web',
    rings: [],
    patienceMs: 0,
    ...parts,
    notifiers: [notifier],
    roleOf: () => ROLE,
    healthOf: () => undefined,
    mayTakeOver: () => false,
  };
};

describe('what people are told of a run', () => {
  it('is each change, in one message that is updated in place', async () => {
    const world = notified();
    await world.push();
    await world.untilRun(1, { state: 'waiting', waitingFor: 'promotion' });
    await world.until(() => states(world).includes('waiting'));
    const { notice } = world.outside.notices.at(-1) ?? {};
    expect(notice).toMatchObject({ subject: 'web-1', state: 'waiting', actions: ['promote', 'rollback'] });
    expect(notice?.commit?.sha).toMatch(/^0001/);
    expect(new Set(world.outside.notices.slice(1).map((each) => each.previous))).toEqual(new Set(['message-1']));
  });

  it.each([
    ['done', {}],
    ['rolledBack', { release: 'fails to install' }],
    ['failed', { ci: 'fails' }],
  ] as const)('ends with %s', async (state, plan) => {
    const world = notified({ rings: automatic });
    await world.push({ plan: {} });
    await world.settle();
    await world.push({ plan });
    await world.settle();
    await world.until(() => isTold(world));
    expect(world.outside.notices.filter(({ notice }) => notice.subject === 'web-2').at(-1)?.notice.state).toBe(state);
  });

  it('tells of a run that another one superseded', async () => {
    const world = notified();
    await world.push();
    await world.untilRun(1, { waitingFor: 'promotion' });
    await world.push();
    await world.untilRun(2, { waitingFor: 'promotion' });
    await world.until(() => isTold(world));
    expect(world.outside.notices.filter(({ notice }) => notice.subject === 'web-1').at(-1)?.notice).toMatchObject({
      state: 'done',
      text: 'Run web-2 took over the canary',
    });
  });

  it('is told again after a fault, and holds up no run', async () => {
    const world = notified({ rings: automatic });
    failCalls(world.outside, 'notifier.notify', 'retry', 'lost before', 'retry', 'lost after', 'retry');
    await world.push();
    await world.untilRun(1, { outcome: 'succeeded' });
    await world.until(() => isTold(world));
    expect(states(world).at(-1)).toBe('done');
  });

  it('is given up when the notifier says that it cannot be, and goes on with the next change', async () => {
    const world = notified({ rings: automatic });
    failCalls(world.outside, 'notifier.notify', 'stop');
    await world.push();
    await world.settle();
    await world.until(() => isTold(world));
    expect(states(world).at(-1)).toBe('done');
  });

  it('is nothing where the pipeline names no notifier', async () => {
    const world = new World({ rings: automatic });
    await world.push();
    await world.settle();
    expect(await world.records.list('notices')).toEqual([]);
  });

  it.each([3, 7, 11])('misses no end when pipit is killed at every %i. point', async (every) => {
    const world = notified({ rings: automatic, killAt: (_point, count) => count % (every * 7) === 0 && count < 400 });
    await world.push();
    await world.untilRun(1, { state: 'ended' });
    await world.until(() => isTold(world));
    expect(world.kills).toBeGreaterThan(0);
    expect(states(world).at(-1)).toBe('done');
  });

  it('is never what a power cut takes back', async () => {
    const killAt = (point: string): boolean => point === 'notifier.notify: before the effect' && isLater;
    let isLater = false;
    const world = notified({ rings: automatic, losesPower: true, killAt });
    await world.push();
    await world.untilRun(1, { outcome: 'succeeded' });
    await world.until(() => isTold(world));
    await world.stop();
    const { id } = await world.run(1);
    await world.records.transaction(
      async (transaction) => {
        await transaction.update('runs', { id }, { reason: 'not on the disk yet' });
        await transaction.update('notices', { runId: id }, { version: 1_000, dueAt: world.clock.now().toISOString() });
      },
      { durable: 'soon' },
    );
    isLater = true;
    await world.until(() => world.kills === 1);
    expect(await world.run(1)).toMatchObject({ reason: 'not on the disk yet' });
  });
});

it.each([29, 450])('a notifier that hangs with %i notices delays no other app, and no other notice of its own for long', async (stuck) => {
  const records = createMemoryRecords();
  const clock = createWorldClock();
  const stopping = new AbortController();
  const told: string[] = [];
  const runs = Array.from({ length: stuck + 1 }, (_each, index) => (index < stuck ? `stuck-${index + 1}` : 'web-1'));
  await records.transaction(async (transaction) => {
    for (const id of runs) {
      // What the notices read of a run.
      const row = { id, app: id.split('-')[0], pipeline: 'web', repository: REPOSITORY, ref: MAIN, number: runs.indexOf(id), pushKey: id };
      await transaction.insert('runs', row as unknown as RunRow);
      await markNotice(transaction, id as RunId, clock.now().toISOString());
    }
  });
  const notifier = { instance: 'chat', subject: { notify: async () => undefined }, options: {} };
  const sender = createNoticeSender({
    records,
    clock,
    logger: createTestLogger(),
    random: () => 0.5,
    stopping: stopping.signal,
    catalog: { of: () => definitionWith(notifier), takes: () => true, match: async () => ({ reason: 'no' }) },
    effects: {
      run: async ({ operationId, signal }) => {
        told.push(operationId);
        if (operationId.startsWith('stuck'))
          await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true }));
        return undefined as never;
      },
    },
  });
  for (let sweep = 0; sweep < 3; sweep += 1) await sender.sweep();
  for (let turn = 0; turn < 50 && !told.includes('web-1:notices'); turn += 1) await new Promise((resolve) => setImmediate(resolve));
  expect(told).toContain('web-1:notices');
  expect(told.length).toBeLessThanOrEqual(6);
  stopping.abort();
  await sender.settle();
  expect((await records.list('notices')).filter((row) => row.dueAt === null)).toHaveLength(1);
});
