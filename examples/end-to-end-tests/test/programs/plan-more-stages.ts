import type { RingName } from '@pipit/core';
import { planStages as planned, type RunShape, type Stage } from '../../../../packages/pipeline/src/stages/plan-stages.js';

export { nextStage, type RunShape, rollbackStage, type Stage } from '../../../../packages/pipeline/src/stages/plan-stages.js';

/**
 * The plan of a later pipit, which has two stages more: one early in a run, where those that wait for promotion have long been, and one behind
 * the promotion that judges the canary once more.
 */
export const planStages = (shape: RunShape): readonly Stage[] =>
  planned(shape).flatMap((stage): readonly Stage[] => {
    if (stage.name === 'publish') return [stage, { name: 'publish-again', kind: 'operation', operation: 'publish' }];
    if (stage.name !== 'rollout:production') return [stage];
    return [{ name: 'judge-again:canary', kind: 'bake', ring: 'canary' as RingName }, stage]; // as the config names it
  });
