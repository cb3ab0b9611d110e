import {
  type ArtifactId,
  type CommitSha,
  type HostReport,
  type PackageVersion,
  parseCommitSha,
  parseDigest,
  parsePackageName,
  parsePackageVersion,
} from '@pipit/core';
import { describe, expect, it } from 'vitest';
import {
  type GuardVerdict,
  guardPromotion,
  judgeAdvertisement,
  judgeRing,
  nextSequence,
  type PromotionToGuard,
  planRollback,
  pushKeyOf,
  type RingPolicy,
  type RingRow,
  type RingToJudge,
  type RolloutRow,
  requiredHosts,
  rolloutIdOf,
  runIdOf,
  stricterPolicy,
} from '../src/index.js';
import { judgePush } from '../src/intake/judge-push.js';
import { operationIdOf } from '../src/records/ids.js';
import { APP, MAIN, policy, REPOSITORY, ROLE } from './world/world.js';

const version = (text: string): PackageVersion => parsePackageVersion(text);
const digestOf = (letter: string) => parseDigest(`sha256:${letter.repeat(64)}`);
const artifact = (changes: Partial<ArtifactId> = {}): ArtifactId => ({
  format: 'deb',
  name: parsePackageName('web'),
  version: version('1'),
  architecture: 'amd64',
  digest: digestOf('a'),
  ...changes,
});
const report = (hostId: string, changes: Partial<HostReport> = {}): HostReport => ({
  hostId,
  reachable: true,
  healthy: true,
  installed: { version: version('1'), digest: digestOf('a'), sequence: 7 },
  ...changes,
});
const listed = (...ids: string[]) => ids.map((hostId) => ({ hostId, architecture: 'amd64' as string | null }));
const ring = (changes: Partial<RingToJudge> = {}): RingToJudge => ({
  listed: listed('a', 'b'),
  reports: [report('a'), report('b')],
  sequence: 7,
  artifacts: [artifact()],
  minHealthy: null,
  checked: true,
  ...changes,
});

describe('a ring', () => {
  it('is verified when each host has the receipt and is healthy', () => {
    expect(judgeRing(ring())).toMatchObject({ verified: true, verifiedCount: 2, reason: '2 of 2 hosts run it and are healthy' });
  });

  it.each<[string, Partial<HostReport>, RegExp]>([
    [
      'of another sequence',
      { installed: { version: version('1'), digest: digestOf('a'), sequence: 6 } },
      /receipt is of rollout 6, not of 7/,
    ],
    [
      'of a later sequence',
      { installed: { version: version('1'), digest: digestOf('a'), sequence: 8 } },
      /receipt is of rollout 8, not of 7/,
    ],
    ['without a sequence', { installed: { version: version('1'), digest: digestOf('a') } }, /rollout none/],
    ['without a digest', { installed: { version: version('1'), sequence: 7 } }, /receipt has no digest/],
    [
      'with other bytes',
      { installed: { version: version('1'), digest: digestOf('b'), sequence: 7 } },
      /it runs 1 \(sha256:b+\), not 1 \(sha256:a+\)/,
    ],
    ['with another version', { installed: { version: version('2'), digest: digestOf('a'), sequence: 7 } }, /it runs 2/],
    ['that says an error', { error: { code: 'E', message: 'dpkg ended with 1' } }, /dpkg ended with 1/],
    ['that is busy', { busy: true }, /another package manager/],
    ['whose health check fails', { healthy: false }, /health check fails/],
  ])('is not verified with one reachable host %s', (_name, changes, reason) => {
    const judged = judgeRing(ring({ reports: [report('a'), report('b', changes)] }));
    expect(judged.verified).toBe(false);
    expect(judged.reason).toMatch(reason);
    expect(judged.hosts.find((host) => host.hostId === 'b')?.state).toBe('failed');
  });

  it('is not verified by a host with nothing installed', () => {
    const { installed: _installed, ...bare } = report('b');
    expect(judgeRing(ring({ reports: [report('a'), bare] }))).toMatchObject({
      verified: false,
      reason: expect.stringMatching(/nothing installed/),
    });
  });

  it('is not verified by a host that was to be checked and gave no answer', () => {
    const { healthy: _healthy, ...silent } = report('b');
    expect(judgeRing(ring({ reports: [report('a'), silent] }))).toMatchObject({
      verified: false,
      reason: expect.stringMatching(/did not answer the health check/),
    });
    expect(judgeRing(ring({ reports: [report('a'), silent], checked: false })).verified).toBe(true);
  });

  it.each([
    ['one of two is unreachable', [report('a'), { hostId: 'b', reachable: false }], null, true],
    ['one of two gave no report', [report('a')], null, true],
    ['all are unreachable', [{ hostId: 'a', reachable: false }], null, false],
    ['all are unreachable and none is asked for', [], { hosts: 0 }, false],
    ['all are unreachable and no share is asked for', [], { share: 0 }, false],
    ['one of two is unreachable and both are asked for', [report('a')], { hosts: 2 }, false],
    ['one of two is unreachable and all are asked for', [report('a')], { share: 1 }, false],
  ] as const)('when %s', (_name, reports, minHealthy, verified) => {
    expect(judgeRing(ring({ reports, minHealthy })).verified).toBe(verified);
  });

  it('without hosts is never verified', () => {
    expect(judgeRing(ring({ listed: [], reports: [] })).verified).toBe(false);
  });

  it('leaves a host for whose architecture there is no artifact, and does not count it', () => {
    const hosts = [...listed('a'), { hostId: 'arm', architecture: 'arm64' }];
    const judged = judgeRing(ring({ listed: hosts, reports: [report('a')], minHealthy: { share: 1 } }));
    expect(judged).toMatchObject({ verified: true, required: 1 });
    expect(judged.hosts.find((host) => host.hostId === 'arm')).toEqual({
      hostId: 'arm',
      state: 'left',
      reason: 'no artifact for architecture arm64',
    });
  });

  it('takes on a host only the artifact of its own architecture', () => {
    const artifacts = [artifact(), artifact({ architecture: 'arm64', digest: digestOf('c') })];
    const wrong = report('b', { installed: { version: version('1'), digest: digestOf('c'), sequence: 7 } });
    expect(judgeRing(ring({ artifacts, reports: [report('a'), wrong] })).verified).toBe(false);
    const unsaid = [...listed('a'), { hostId: 'b', architecture: null }];
    expect(judgeRing(ring({ listed: unsaid, artifacts, reports: [report('a'), wrong] })).verified).toBe(true);
  });

  it.each([
    ['all', true],
    ['noarch', true],
    ['arm64', false],
  ])('gives every host an artifact for %s: %s', (architecture, verified) => {
    expect(judgeRing(ring({ artifacts: [artifact({ architecture })] })).verified).toBe(verified);
  });
});

it.each([
  [null, 0, 1],
  [null, 1, 1],
  [null, 2, 1],
  [null, 3, 2],
  [null, 1_000, 500],
  [{ hosts: 0 }, 5, 1],
  [{ hosts: 3 }, 5, 3],
  [{ hosts: 9 }, 5, 9],
  [{ share: 0 }, 5, 1],
  [{ share: 0.5 }, 5, 3],
  [{ share: 1 }, 5, 5],
] as const)('%j of %i hosts requires %i healthy ones', (minHealthy, hosts, required) => {
  expect(requiredHosts(minHealthy, hosts)).toBe(required);
});

const rolloutRow = (sequence: number, changes: Partial<RolloutRow> = {}): RolloutRow => {
  const ref = { app: APP, role: ROLE, ring: changes.ring ?? policy('canary').name };
  const runId = runIdOf(APP, sequence);
  return {
    ...ref,
    id: rolloutIdOf(ref, sequence),
    runId,
    operationId: operationIdOf(runId, 'rollout', 1),
    sequence,
    version: version('1'),
    artifacts: [artifact()],
    purpose: 'forward',
    state: 'verified',
    reason: null,
    startedAt: '2026-01-01T00:00:00.000Z',
    endedAt: '2026-01-01T00:01:00.000Z',
    ...changes,
  };
};

describe('the promotion guard', () => {
  const rollout = rolloutRow(7);
  const ringRow: RingRow = {
    app: APP,
    role: ROLE,
    ring: rollout.ring,
    sequence: 7,
    rolloutId: rollout.id,
    version: rollout.version,
    state: 'verified',
    updatedAt: '2026-01-01T00:01:00.000Z',
  };
  const promotion = (changes: Partial<PromotionToGuard> = {}): PromotionToGuard => {
    const judged = ring();
    return {
      from: rollout.ring,
      ring: ringRow,
      rollout,
      judgement: judgeRing(judged),
      listed: judged.listed,
      reports: judged.reports,
      expected: { version: rollout.version, sequence: 7 },
      ...changes,
    };
  };
  const codeOf = (verdict: GuardVerdict): string | undefined => (verdict.allowed ? undefined : verdict.error.code);

  it('lets through what the ring before runs, and nothing else can be named', () => {
    expect(guardPromotion(promotion())).toEqual({ allowed: true, version: '1', artifacts: [artifact()] });
  });

  it.each<[string, Partial<PromotionToGuard>, string]>([
    ['nothing was ever rolled out there', { ring: undefined }, 'PROMOTION_NOTHING_THERE'],
    ['its rollout is not recorded', { rollout: undefined }, 'PROMOTION_NOTHING_THERE'],
    ['it has had a later rollout of the same version', { ring: { ...ringRow, sequence: 8 } }, 'PROMOTION_OVERTAKEN'],
    ['it runs another version', { ring: { ...ringRow, version: version('2') } }, 'PROMOTION_OVERTAKEN'],
    ['an earlier rollout was asked for', { expected: { version: version('1'), sequence: 6 } }, 'PROMOTION_OVERTAKEN'],
    ['another version was asked for', { expected: { version: version('9'), sequence: 7 } }, 'PROMOTION_OVERTAKEN'],
    ['it failed', { ring: { ...ringRow, state: 'failed' } }, 'PROMOTION_NOT_VERIFIED'],
    ['it is being rolled out', { ring: { ...ringRow, state: 'rolling-out' } }, 'PROMOTION_NOT_VERIFIED'],
    ['its rollout failed', { rollout: { ...rollout, state: 'failed' } }, 'PROMOTION_NOT_VERIFIED'],
    ['its rollout has not ended', { rollout: { ...rollout, state: 'installing' } }, 'PROMOTION_NOT_VERIFIED'],
    [
      'its hosts are not well at this moment',
      { judgement: judgeRing(ring({ reports: [report('a'), report('b', { healthy: false })] })) },
      'PROMOTION_NOT_VERIFIED',
    ],
    ['its hosts cannot be reached at this moment', { judgement: judgeRing(ring({ reports: [] })) }, 'PROMOTION_NOT_VERIFIED'],
    ['no host runs the bytes of the rollout', { reports: [report('z')] }, 'PROMOTION_NOTHING_THERE'],
  ])('refuses when %s', (_name, changes, code) => {
    expect(codeOf(guardPromotion(promotion(changes)))).toBe(code);
  });

  it('lets through only the artifacts that a verified host runs', () => {
    const arm = artifact({ architecture: 'arm64', digest: digestOf('c') });
    expect(guardPromotion(promotion({ rollout: { ...rollout, artifacts: [artifact(), arm] } }))).toMatchObject({ artifacts: [artifact()] });
  });
});

describe('the target of a rollback', () => {
  const production = policy('production').name;
  const canary = policy('canary').name;
  const rings = [canary, production];
  const at =
    (name: typeof canary) =>
    (sequence: number, text: string, changes: Partial<RolloutRow> = {}) =>
      rolloutRow(sequence, { ring: name, version: version(text), ...changes });
  const inProduction = at(production);
  const inCanary = at(canary);
  const back = { purpose: 'rollback' } as const;
  const failed = { state: 'failed' } as const;
  const targetIn = (target: typeof canary, rollouts: readonly RolloutRow[], order = rings): string => {
    const result = planRollback({ ring: target, rings: order, rollouts });
    return 'error' in result ? result.error.code : result.rollout.version;
  };

  it.each<[string, readonly RolloutRow[], string]>([
    ['goes to the release before', [inProduction(1, '1'), inProduction(2, '2')], '1'],
    ['passes over a release that failed', [inProduction(1, '1'), inProduction(2, '2', failed), inProduction(3, '3')], '1'],
    [
      'answers a failed rollout with the last that completed',
      [inProduction(1, '1'), inProduction(2, '2'), inProduction(3, '3', failed)],
      '2',
    ],
    [
      'goes back twice when asked twice',
      [inProduction(1, '1'), inProduction(2, '2'), inProduction(3, '3'), inProduction(4, '2', back)],
      '1',
    ],
    [
      'goes back three times when asked three times',
      [
        inProduction(1, '1'),
        inProduction(2, '2'),
        inProduction(3, '3'),
        inProduction(4, '4'),
        inProduction(5, '3', back),
        inProduction(6, '2', back),
      ],
      '1',
    ],
    [
      'does not go forward again to what was left',
      [inProduction(1, '1'), inProduction(2, '2'), inProduction(3, '1', back)],
      'ROLLBACK_NO_RELEASE',
    ],
    [
      'begins anew behind a release that was promoted after a rollback',
      [inProduction(1, '1'), inProduction(2, '2'), inProduction(3, '1', back), inProduction(4, '3')],
      '1',
    ],
    [
      'answers a failed rollback by going on to the release before it',
      [inProduction(1, '1'), inProduction(2, '2'), inProduction(3, '3'), inProduction(4, '2', { ...back, ...failed })],
      '1',
    ],
    ['takes the order of sequences, not of the list', [inProduction(10, '3'), inProduction(9, '2'), inProduction(2, '1')], '2'],
    ['has nothing to go back to when only one release ever completed', [inProduction(1, '1')], 'ROLLBACK_NO_RELEASE'],
    ['has nothing to go back to when nothing ever was', [], 'ROLLBACK_NO_RELEASE'],
    ['does not look at another ring', [inCanary(1, '1'), inProduction(2, '2')], 'ROLLBACK_NO_RELEASE'],
  ])('in production %s', (_name, rollouts, expected) => {
    expect(targetIn(production, rollouts)).toBe(expected);
  });

  it.each<[string, readonly RolloutRow[], string]>([
    [
      'goes to what production runs, not to its own release before',
      [inCanary(1, '1'), inProduction(1, '1'), inCanary(2, '2'), inCanary(3, '3', failed)],
      '1',
    ],
    [
      'passes over what failed in production',
      [inCanary(1, '1'), inProduction(1, '1'), inCanary(2, '2'), inProduction(2, '2', failed)],
      '1',
    ],
    [
      'has nothing to go back to before anything completed in production',
      [inCanary(1, '1'), inCanary(2, '2', failed)],
      'ROLLBACK_NO_RELEASE',
    ],
    ['refuses what never completed in the canary', [inCanary(1, '1', failed), inProduction(1, '1')], 'ROLLBACK_NEVER_RAN_HERE'],
  ])('in the canary %s', (_name, rollouts, expected) => {
    expect(targetIn(canary, rollouts)).toBe(expected);
  });

  it('in an only ring goes to its release before', () => {
    expect(targetIn(production, [inProduction(1, '1'), inProduction(2, '2')], [production])).toBe('1');
  });

  it('says which ring has nothing, and what then', () => {
    const result = planRollback({ ring: canary, rings, rollouts: [] });
    expect(result).toMatchObject({
      error: {
        message: 'No release has completed in production yet, so canary has nothing to go back to',
        hint: expect.stringMatching(/keeps what it has/),
      },
    });
  });
});

describe('the next sequence', () => {
  const advertised = (sequence: number) => ({ version: version('1'), sequence, artifacts: [] });
  it.each([
    ['the first of all', 0, undefined, [], 1],
    ['one more than the database knows', 4, undefined, [], 5],
    ['one more than the key says', 4, advertised(9), [], 10],
    ['one more than a host has seen', 4, advertised(3), [report('a', { installed: { version: version('1'), sequence: 20 } })], 21],
    ['not moved by a receipt without one', 4, undefined, [report('a', { installed: { version: version('1') } })], 5],
  ])('is %s', (_name, recorded, key, reports, expected) => {
    expect(nextSequence({ recorded, advertised: key, reports })).toBe(expected);
  });
});

describe('an advertisement', () => {
  const next = { version: version('2'), sequence: 5, artifacts: [] };
  it.each([
    ['is written where nothing stands', undefined, 'write'],
    ['is written over an older one', { ...next, sequence: 4, version: version('1') }, 'write'],
    ['is done when it stands there', next, 'done'],
    ['is superseded by a newer one', { ...next, sequence: 6 }, 'superseded'],
    ['is superseded by another release under its own sequence', { ...next, version: version('3') }, 'superseded'],
  ])('%s', (_name, current, expected) => {
    expect(judgeAdvertisement(current, next)).toBe(expected);
  });
});

describe('the stricter of two policies', () => {
  it.each<[string, Partial<RingPolicy>, Partial<RingPolicy>, Partial<RingPolicy>]>([
    ['bakes longer: then', { bakeMs: 10 }, { bakeMs: 5 }, { bakeMs: 10 }],
    ['bakes longer: now', { bakeMs: 10 }, { bakeMs: 50 }, { bakeMs: 50 }],
    ['asks a person: then', { promotion: 'manual' }, { promotion: 'automatic' }, { promotion: 'manual' }],
    ['asks a person: now', { promotion: 'automatic' }, { promotion: 'manual' }, { promotion: 'manual' }],
    ['asks nobody when neither does', { promotion: 'automatic' }, { promotion: 'automatic' }, { promotion: 'automatic' }],
    ['wants more healthy hosts: then', { minHealthy: { share: 0.9 } }, { minHealthy: null }, { minHealthy: { share: 0.9 } }],
    ['wants more healthy hosts: now', { minHealthy: { hosts: 1 } }, { minHealthy: { share: 0.2 } }, { minHealthy: { share: 0.2 } }],
  ])('%s', (_name, then, now, expected) => {
    expect(stricterPolicy(policy('canary', then), policy('canary', now))).toMatchObject(expected);
  });

  it('is the former one when the ring is gone from the config', () => {
    const then = policy('canary', { bakeMs: 7 });
    expect(stricterPolicy(then, undefined)).toEqual(then);
  });
});

describe('the key of a push', () => {
  const push = { app: APP, repository: REPOSITORY, ref: MAIN, move: 1 };
  it('is the same whatever the repository is called', () => {
    expect(pushKeyOf({ ...push, repository: { id: REPOSITORY.id } })).toBe(pushKeyOf(push));
  });
  it.each([
    ['repository', { repository: { id: '4712' } }],
    ['ref', { ref: 'refs/heads/other' as typeof MAIN }],
    ['move', { move: 2 }],
    ['event of a push that was overtaken', { move: '1' }],
  ])('differs with the %s', (_name, changes) => {
    expect(pushKeyOf({ ...push, ...changes })).not.toBe(pushKeyOf(push));
  });
});

describe('a report of a push', () => {
  const [one, other] = ['a', 'b'].map((letter) => parseCommitSha(letter.repeat(40))) as [CommitSha, CommitSha]; // two, as made
  const report = { sha: one, before: other, isHead: true, polled: false };
  it.each([
    ['is new when the ref was never heard of', {}, undefined, { type: 'new', move: 1 }],
    ['is new when the ref was elsewhere', {}, { sha: other, moves: 4 }, { type: 'new', move: 5 }],
    ['is new when the ref was deleted', {}, { sha: null, moves: 4 }, { type: 'new', move: 5 }],
    ['is known when the ref was reported there', {}, { sha: one, moves: 4 }, { type: 'known' }],
    ['is known without the commit before, too', { before: undefined }, { sha: one, moves: 4 }, { type: 'known' }],
    ['has passed when the ref went on', { isHead: false }, { sha: parseCommitSha('c'.repeat(40)), moves: 4 }, { type: 'passed' }],
    ['says that the ref left what is known', { isHead: false }, { sha: other, moves: 4 }, { type: 'passed', move: 5 }],
    ['of a poll says nothing of the way', { isHead: false, polled: true }, { sha: other, moves: 4 }, { type: 'passed' }],
    ['of a ref nobody knows says nothing of the way', { isHead: false, before: undefined }, undefined, { type: 'passed' }],
  ] as const)('%s', (_name, changes, head, expected) => {
    expect(judgePush({ ...report, ...changes }, head)).toEqual({ ...(expected.type === 'passed' ? { move: undefined } : {}), ...expected });
  });
});
