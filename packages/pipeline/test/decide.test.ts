import { parseCommitSha, parsePackageVersion } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import {
  decide,
  installLockOf,
  type Move,
  type OperationRow,
  type OperationState,
  planStages,
  type RolloutRow,
  type RunRow,
  type RunView,
  ringLockOf,
  rolloutIdOf,
  runIdOf,
} from '../src/index.js';
import { operationIdOf } from '../src/records/ids.js';
import { APP, MAIN, policy, REPOSITORY, ROLE } from './world/world.js';

const AT = '2026-01-01T00:00:00.000Z';
const RINGS = [policy('canary', { bakeMs: 60_000 }), policy('production', { bakeMs: 60_000 })];
const CANARY = policy('canary').name;
const version = parsePackageVersion('1');

const run: RunRow = {
  id: runIdOf(APP, 1),
  app: APP,
  role: ROLE,
  number: 1,
  pipeline: 'web',
  kind: 'delivery',
  pushKey: 'key',
  repository: REPOSITORY,
  ref: MAIN,
  sha: parseCommitSha('a'.repeat(40)),
  committedAt: AT,
  author: null,
  eventId: null,
  actor: null,
  version,
  rings: RINGS,
  health: null,
  metadata: null,
  targetRing: null,
  state: 'active',
  stage: 'build',
  completedStages: [],
  waitingFor: null,
  dueAt: null,
  waitedMs: 0,
  dueAfterMs: null,
  outcome: null,
  reason: null,
  failure: null,
  attempt: 1,
  cancelRequestedBy: null,
  createdAt: AT,
  updatedAt: AT,
  endedAt: null,
};

const order = planStages(run).map((stage) => stage.name);
const rolloutOf = (ring: string, changes: Partial<RolloutRow> = {}): RolloutRow => {
  const ref = { app: APP, role: ROLE, ring: policy(ring).name };
  return {
    ...ref,
    id: rolloutIdOf(ref, 1),
    runId: run.id,
    operationId: operationIdOf(run.id, `rollout:${ring}`, 1),
    sequence: 1,
    version,
    artifacts: [],
    purpose: 'forward',
    state: 'verified',
    reason: null,
    startedAt: AT,
    endedAt: AT,
    ...changes,
  };
};

const lockAll = (runId: RunRow['id']) =>
  [installLockOf(run), ...RINGS.map((ring) => ringLockOf(run, ring.name))].map((name) => ({
    name,
    runId,
    reason: 'rollout of canary',
    since: AT,
  }));

/** A run that stands before a stage, with all before it done. */
const before = (stage: string, changes: Partial<RunView> = {}, of: Partial<RunRow> = {}): RunView => ({
  run: { ...run, stage, completedStages: order.slice(0, Math.max(0, order.indexOf(stage))), ...of },
  operations: [],
  locks: lockAll(run.id),
  rollbacks: [],
  promotions: [],
  rings: [
    { app: APP, role: ROLE, ring: CANARY, sequence: 1, rolloutId: rolloutOf('canary').id, version, state: 'verified', updatedAt: AT },
  ],
  rollouts: [rolloutOf('canary'), rolloutOf('production')],
  policies: RINGS,
  newerRun: undefined,
  now: new Date(Date.parse(AT) + 3_600_000),
  waitedMs: 60_000,
  patienceMs: 900_000,
  ...changes,
});

const operation = (stage: string, state: OperationState, code = 'E'): OperationRow => ({
  id: operationIdOf(run.id, stage, 1),
  runId: run.id,
  stage,
  type: 'build',
  version: 1,
  state,
  input: {},
  result: null,
  error: state === 'failed' || state === 'cancelled' ? { code, message: 'it broke' } : null,
  attempt: 1,
  round: 1,
  createdAt: AT,
  startedAt: AT,
  endedAt: null,
});

const say = (move: Move): string => {
  switch (move.type) {
    case 'none':
      return 'none';
    case 'start':
      return `start ${move.operation}`;
    case 'complete':
      return move.releases.length > 0 ? 'complete, unlock' : 'complete';
    case 'lock':
      return move.supersede ? 'lock, supersede' : 'lock';
    case 'wait':
      return `wait for ${move.for}`;
    case 'resume':
      return 'resume';
    case 'roll-back':
      return `go to ${move.stage.name}`;
    case 'end':
      return `end ${move.outcome}: ${move.reason}`;
  }
};

const STATES = ['none', 'pending', 'running', 'succeeded', 'failed', 'cancelled'] as const;
const broken = 'end failed: it broke';
const cancelled = 'end cancelled: it broke';
const table: Readonly<Record<string, readonly [string, string, string, string, string, string]>> = {
  build: ['start build', 'none', 'none', 'complete', broken, cancelled],
  package: ['start package', 'none', 'none', 'complete', broken, cancelled],
  publish: ['start publish', 'none', 'none', 'complete', broken, cancelled],
  'rollout:canary': ['start rollout', 'none', 'none', 'complete, unlock', 'go to rollback:canary', 'go to rollback:canary'],
  'bake:canary': ['start watch', 'none', 'none', 'complete, unlock', 'go to rollback:canary', 'go to rollback:canary'],
  'rollout:production': ['start rollout', 'none', 'none', 'complete, unlock', 'go to rollback:production', 'go to rollback:production'],
  'bake:production': ['start watch', 'none', 'none', 'complete, unlock', 'go to rollback:production', 'go to rollback:production'],
  'promotion:production': Array.from({ length: 6 }, () => 'wait for promotion') as [string, string, string, string, string, string],
};
const cells = Object.entries(table).flatMap(([stage, moves]) => STATES.map((state, index) => [stage, state, moves[index]] as const));

describe('the next move of a run', () => {
  it('is tabled for every stage', () => {
    expect(Object.keys(table).sort()).toEqual([...order].sort());
  });

  it.each(cells)('at %s, whose operation is %s, is: %s', (stage, state, expected) => {
    expect(say(decide(before(stage, { operations: state === 'none' ? [] : [operation(stage, state)] })))).toBe(expected);
  });

  const other = lockAll(runIdOf(APP, 9));
  const newer = { ...run, id: runIdOf(APP, 2), number: 2 };
  const asked = { runId: run.id, ring: policy('production').name, sequence: 1, version, actor: 'anna', reason: null, createdAt: AT };
  const soon = { waitedMs: 59_999 };
  const cancelledBy = { cancelRequestedBy: 'anna' };
  const goingBack = (ring: string): RunRow => ({
    ...run,
    id: runIdOf(APP, 7),
    number: 7,
    kind: 'rollback',
    actor: 'anna',
    stage: `rollback:${ring}`,
  });
  const failure = { code: 'E', message: 'it broke' };
  const aside = { failure, stage: 'rollback:canary' };
  const back = rolloutOf('canary', { purpose: 'rollback', sequence: 2, version: parsePackageVersion('0') });

  it.each<[string, RunView, string]>([
    ['takes the free lock before the canary, superseding', before('rollout:canary', { locks: [] }), 'lock, supersede'],
    ['takes the free lock before production, superseding nobody', before('rollout:production', { locks: [] }), 'lock'],
    ['waits for a lock that another run holds', before('rollout:canary', { locks: other }), 'wait for rollout-lock'],
    [
      'gives way to a newer run before the canary',
      before('rollout:canary', { locks: [], newerRun: newer }),
      'end superseded: Run web-2 is newer and goes first',
    ],
    ['does not give way before production', before('rollout:production', { locks: [], newerRun: newer }), 'lock'],
    ['does not give way with the lock in hand', before('rollout:canary', { newerRun: newer }), 'start rollout'],
    ['ends instead of beginning a stage when cancelled', before('package', {}, cancelledBy), 'end cancelled: Cancelled by anna'],
    [
      'ends instead of taking the lock when cancelled',
      before('rollout:canary', { locks: [] }, cancelledBy),
      'end cancelled: Cancelled by anna',
    ],
    [
      'ends instead of waiting for promotion when cancelled',
      before('promotion:production', {}, cancelledBy),
      'end cancelled: Cancelled by anna',
    ],
    [
      'ends as cancelled when its rollout was cancelled before it was planned',
      before('rollout:canary', { rollouts: [], operations: [operation('rollout:canary', 'cancelled')] }, cancelledBy),
      'end cancelled: Cancelled by anna',
    ],
    [
      'rolls nothing back when nothing was planned',
      before('rollout:canary', { rollouts: [], operations: [operation('rollout:canary', 'failed')] }),
      broken,
    ],
    [
      'writes nothing over a newer advertisement',
      before('rollout:canary', { operations: [operation('rollout:canary', 'failed', 'ADVERTISE_SUPERSEDED')] }),
      'end superseded: it broke',
    ],
    [
      'ends as superseded when the canary was overtaken',
      before('rollout:production', {
        rollouts: [rolloutOf('canary')],
        operations: [operation('rollout:production', 'failed', 'PROMOTION_OVERTAKEN')],
      }),
      'end superseded: it broke',
    ],
    [
      'leaves a failed ring as it is where the config says so',
      before('rollout:canary', {
        operations: [operation('rollout:canary', 'failed')],
        policies: [policy('canary', { onFailure: 'stop' })],
      }),
      'end failed: it broke (canary is left as it is: onFailure is stop)',
    ],
    ['waits out the bake', before('bake:canary', soon), 'wait for bake'],
    [
      'waits out a bake that today’s config made longer',
      before('bake:canary', { policies: [policy('canary', { bakeMs: 7_200_000 })] }),
      'wait for bake',
    ],
    [
      'waits out a bake that today’s config made shorter',
      before('bake:canary', { ...soon, policies: [policy('canary')] }),
      'wait for bake',
    ],
    [
      'passes a bake of no time',
      before('bake:canary', { policies: [] }, { rings: [policy('canary'), policy('production')] }),
      'complete, unlock',
    ],
    [
      'does not bake what was not rolled out',
      before('bake:canary', { rollouts: [] }),
      'end failed: Ring canary has no completed rollout of this run',
    ],
    ['goes on when it was promoted', before('promotion:production', { promotions: [asked] }), 'complete'],
    [
      'is not promoted by a promotion of an earlier rollout',
      before('promotion:production', { promotions: [{ ...asked, sequence: 0 }] }),
      'wait for promotion',
    ],
    [
      'is not promoted by a promotion to another ring',
      before('promotion:production', { promotions: [{ ...asked, ring: policy('staging').name }] }),
      'wait for promotion',
    ],
    [
      'is not promoted when its ring has had another rollout',
      before('promotion:production', { promotions: [asked], rings: before('build').rings.map((ring) => ({ ...ring, sequence: 2 })) }),
      'end superseded: Ring canary has had another rollout since',
    ],
    [
      'is promoted by itself where both configs say so',
      before(
        'promotion:production',
        { policies: [policy('production', { promotion: 'automatic' })] },
        { rings: [policy('canary'), policy('production', { promotion: 'automatic' })] },
      ),
      'complete',
    ],
    [
      'waits for a ring that another run bakes',
      before('rollout:canary', { locks: other.filter((lock) => lock.name.startsWith('ring:')) }),
      'wait for rollout-lock',
    ],
    [
      'waits for a rollback of any ring',
      before('rollout:canary', { locks: [], rollbacks: [goingBack('production')] }),
      'wait for rollout-lock',
    ],
    [
      'does not wait for a bake when it goes back',
      before('rollback:canary', { locks: other.filter((lock) => lock.name.startsWith('ring:')) }, aside),
      'lock',
    ],
    ['goes back though it was cancelled', before('rollback:canary', { locks: [] }, { ...aside, ...cancelledBy }), 'lock'],
    [
      'is not watched when a person takes its ring back',
      before('bake:canary', { rollbacks: [goingBack('canary')] }),
      'end rolled-back: anna rolls canary back (run web-7)',
    ],
    [
      'is watched on while another ring goes back',
      before('bake:canary', { ...soon, rollbacks: [goingBack('production')] }),
      'wait for bake',
    ],
    [
      'ends with its install when a person takes its ring back',
      before('rollout:canary', { operations: [operation('rollout:canary', 'succeeded')], rollbacks: [goingBack('canary')] }),
      'end rolled-back: anna rolls canary back (run web-7)',
    ],
    [
      'leaves the way back to the person who asked for it',
      before('rollout:canary', { operations: [operation('rollout:canary', 'failed')], rollbacks: [goingBack('canary')] }),
      'end rolled-back: it broke; anna rolls canary back (run web-7)',
    ],
    [
      'is not promoted when its ring goes back',
      before('promotion:production', { promotions: [asked], rollbacks: [goingBack('canary')] }),
      'end rolled-back: anna rolls canary back (run web-7)',
    ],
    [
      'ends its bake when cancelled',
      before('bake:canary', soon, cancelledBy),
      'end cancelled: Cancelled by anna before the bake of canary was over',
    ],
    ['goes back with the lock in hand', before('rollback:canary', {}, aside), 'start rollout'],
    [
      'ends as rolled back, with both versions of the story',
      before('rollback:canary', { operations: [operation('rollback:canary', 'succeeded')], rollouts: [rolloutOf('canary'), back] }, aside),
      'end rolled-back: it broke; canary is back on 0',
    ],
    [
      'ends as failed when its rollback failed',
      before('rollback:canary', { operations: [operation('rollback:canary', 'failed')] }, aside),
      'end failed: it broke; the rollback of canary failed too: it broke',
    ],
    [
      'ends as succeeded when a person asked for the rollback',
      before(
        'rollback:canary',
        { operations: [operation('rollback:canary', 'succeeded')], rollouts: [back] },
        { kind: 'rollback', targetRing: CANARY, completedStages: [] },
      ),
      'end succeeded: canary is back on 0',
    ],
    ['is to end behind the last stage', before('done', {}, { completedStages: order }), 'end succeeded: 1 runs in production'],
    ['is none once it has ended', before('build', {}, { state: 'ended' }), 'none'],
  ])('%s', (_name, view, expected) => {
    expect(say(decide(view))).toBe(expected);
  });
});
