import { describe, expect, it } from 'vitest';
import { nextStage, planStages } from '../src/index.js';
import { policy } from './world/world.js';

const two = [policy('canary'), policy('production')];
const three = [policy('canary'), policy('staging'), policy('production')];
const names = (shape: Parameters<typeof planStages>[0]): readonly string[] => planStages(shape).map((stage) => stage.name);

describe('the stages of a run', () => {
  it.each([
    [
      'a delivery through two rings',
      { kind: 'delivery', rings: two, targetRing: null },
      ['build', 'package', 'publish', 'rollout:canary', 'bake:canary', 'promotion:production', 'rollout:production', 'bake:production'],
    ],
    [
      'a delivery through one ring, which nothing is promoted to',
      { kind: 'delivery', rings: [policy('production')], targetRing: null },
      ['build', 'package', 'publish', 'rollout:production', 'bake:production'],
    ],
    [
      'a promotion, which begins behind its own wait and goes on to the later rings',
      { kind: 'promotion', rings: three, targetRing: three[1]?.name ?? null },
      ['rollout:staging', 'bake:staging', 'promotion:production', 'rollout:production', 'bake:production'],
    ],
    ['a rollback', { kind: 'rollback', rings: two, targetRing: two[0]?.name ?? null }, ['rollback:canary']],
    ['a rollback of no ring', { kind: 'rollback', rings: two, targetRing: null }, []],
  ] as const)('of %s', (_name, shape, expected) => {
    expect(names(shape)).toEqual(expected);
  });

  it('feed each ring from the one before only', () => {
    const promotions = planStages({ kind: 'delivery', rings: three, targetRing: null }).filter((stage) => stage.kind === 'promotion');
    expect(promotions.map(({ from, ring }) => [from, ring])).toEqual([
      ['canary', 'staging'],
      ['staging', 'production'],
    ]);
  });
});

describe('the next stage', () => {
  const stages = planStages({ kind: 'delivery', rings: two, targetRing: null });
  const scan = { name: 'scan', kind: 'operation', operation: 'build' } as const;

  it.each([
    ['is the first when nothing is completed', stages, [], 'build'],
    ['follows the last completed one', stages, ['build', 'package'], 'publish'],
    ['is none when all are completed', stages, stages.map((stage) => stage.name), undefined],
    ['goes by the plan and not by the order of completion', stages, ['package', 'build'], 'publish'],
    ['does not go back to a stage that was added before', [scan, ...stages], ['build', 'package'], 'publish'],
    ['takes a stage that was added behind', [...stages.slice(0, 3), scan, ...stages.slice(3)], ['build', 'package', 'publish'], 'scan'],
    ['passes over a completed stage that no longer exists', stages, ['build', 'lint'], 'package'],
    ['is the first when no completed stage exists any more', stages, ['lint'], 'build'],
  ] as const)('%s', (_name, plan, completed, expected) => {
    expect(nextStage(plan, completed)?.name).toBe(expected);
  });
});
