import { describe, expect, it } from 'vitest';
import { policy, World } from './world/world.js';

describe('a push', () => {
  it('travels to a verified canary, is watched, waits for its promotion, and then reaches production', async () => {
    const world = new World();
    await world.push();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ state: 'waiting', waitingFor: 'promotion', stage: 'promotion:production' });
    const { version } = await world.run(1);
    expect(world.versionsOf('canary')).toEqual([version]);
    expect(world.versionsOf('production')).toEqual([undefined]);
    await world.promote();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ state: 'ended', outcome: 'succeeded', reason: `${version} runs in production` });
    expect(world.versionsOf('production')).toEqual([version]);
    expect(world.advertisedFor('production')).toBe(version);
    expect(world.outside.folders).toEqual(new Set());
    expect(await world.brokenAudit()).toBeUndefined();
  });
});
