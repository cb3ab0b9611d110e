import type { RingName } from '@pipit/core';
import type { RingPolicy, RunKind } from '../records/rows.js';

/** One stage of a run. Its name is recorded; what the name means is this table's alone. */
export type Stage =
  | { readonly name: string; readonly kind: 'operation'; readonly operation: 'build' | 'package' | 'publish' }
  | { readonly name: string; readonly kind: 'rollout'; readonly ring: RingName }
  | { readonly name: string; readonly kind: 'bake'; readonly ring: RingName }
  /** The wait before a ring, for a person or a policy. */
  | { readonly name: string; readonly kind: 'promotion'; readonly ring: RingName; readonly from: RingName }
  | { readonly name: string; readonly kind: 'rollback'; readonly ring: RingName };

export interface RunShape {
  readonly kind: RunKind;
  readonly rings: readonly Pick<RingPolicy, 'name'>[];
  /** For kinds promotion and rollback. */
  readonly targetRing: RingName | null;
}

const preparation: readonly Stage[] = [
  { name: 'build', kind: 'operation', operation: 'build' },
  { name: 'package', kind: 'operation', operation: 'package' },
  { name: 'publish', kind: 'operation', operation: 'publish' },
];

export const rollbackStage = (ring: RingName): Stage => ({ name: `rollback:${ring}`, kind: 'rollback', ring });

const ringStages = (rings: RunShape['rings']): readonly Stage[] =>
  rings.flatMap(({ name: ring }, index): Stage[] => {
    const from = rings[index - 1]?.name;
    return [
      ...(from === undefined ? [] : [{ name: `promotion:${ring}`, kind: 'promotion', ring, from } as const]),
      { name: `rollout:${ring}`, kind: 'rollout', ring },
      { name: `bake:${ring}`, kind: 'bake', ring },
    ];
  });

/** The stages of a run, in order: the whole pipeline as data. `pipit plan` prints it, the conductor walks it. */
export const planStages = ({ kind, rings, targetRing }: RunShape): readonly Stage[] => {
  switch (kind) {
    case 'delivery':
      return [...preparation, ...ringStages(rings)];
    case 'promotion': {
      // What was promoted is asked for already, so the run begins behind its first wait.
      const all = ringStages(rings);
      return all.slice(all.findIndex((stage) => stage.kind === 'rollout' && stage.ring === targetRing));
    }
    case 'rollback':
      return targetRing === null ? [] : [rollbackStage(targetRing)];
  }
};

/**
 * The stage that comes next: the first one behind the last completed one. A stage that a newer pipit added before that point is not gone back to,
 * one that it added behind is taken; a completed stage that no longer exists is passed over.
 */
export const nextStage = (stages: readonly Stage[], completed: readonly string[]): Stage | undefined => {
  const last = Math.max(-1, ...completed.map((name) => stages.findIndex((stage) => stage.name === name)));
  return stages[last + 1];
};
