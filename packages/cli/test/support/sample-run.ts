import type { RunDetail } from '@pipit/runtime';

const at = (seconds: number): string => new Date(Date.UTC(2026, 2, 1, 12, 0, seconds)).toISOString();
export const NOW = new Date(at(60));
export const VERSION = '1.4.0-20260301115900.3f2a9c1';
const DIGEST = `sha256:${'1a2b3c4d5e6f'.padEnd(64, '0')}`;

type Step = { name: string; state: string; from: number; to?: number; progress?: string; error?: { code: string; message: string } };

const operation = (stage: string, state: string, steps: readonly Step[], more: object = {}) => ({
  id: `web-12:${stage}:1`,
  runId: 'web-12',
  stage,
  type: stage.split(':')[0],
  version: 1,
  state,
  input: {},
  result: null,
  error: null,
  attempt: 1,
  createdAt: at(0),
  startedAt: at(0),
  endedAt: null,
  steps: steps.map((step, index) => ({
    operationId: `web-12:${stage}:1`,
    name: step.name,
    position: index + 1,
    state: step.state,
    attempt: 1,
    progress: step.progress ?? null,
    error: step.error ?? null,
    startedAt: at(step.from),
    endedAt: step.to === undefined ? null : at(step.to),
  })),
  ...more,
});

const host = (hostId: string, state: string, report: object | null) => ({
  rolloutId: 'web:app:canary:7',
  hostId,
  address: '127.0.0.1',
  architecture: 'amd64',
  state,
  report: report === null ? null : { hostId, reachable: true, ...report },
  updatedAt: at(30),
});

const installed = { healthy: true, installed: { version: VERSION, digest: DIGEST, sequence: 7 } };

const rollout = (state: string, hosts: readonly object[], more: object = {}) => ({
  id: 'web:app:canary:7',
  runId: 'web-12',
  operationId: 'web-12:rollout:canary:1',
  app: 'web',
  role: 'app',
  ring: 'canary',
  sequence: 7,
  version: VERSION,
  artifacts: [],
  purpose: 'forward',
  state,
  reason: null,
  startedAt: at(20),
  endedAt: null,
  hosts,
  ...more,
});

const run = (more: object) => ({
  id: 'web-12',
  app: 'web',
  role: 'app',
  number: 12,
  pipeline: 'main',
  kind: 'delivery',
  pushKey: 'k',
  repository: { id: 'r', name: 'acme/web', url: '/srv/web.git' },
  ref: 'refs/heads/main',
  sha: '3f2a9c1'.padEnd(40, '0'),
  committedAt: at(0),
  author: 'ada',
  eventId: 'e',
  actor: null,
  version: VERSION,
  rings: [{ name: 'canary' }, { name: 'production' }],
  health: null,
  metadata: null,
  targetRing: null,
  state: 'active',
  stage: 'rollout:canary',
  completedStages: [],
  waitingFor: null,
  waitedMs: 0,
  dueAfterMs: null,
  dueAt: null,
  outcome: null,
  reason: null,
  failure: null,
  attempt: 1,
  cancelRequestedBy: null,
  createdAt: at(0),
  updatedAt: at(30),
  endedAt: null,
  ...more,
});

const stages = (states: Readonly<Record<string, string>>) =>
  ['build', 'package', 'publish', 'rollout:canary', 'bake:canary', 'promotion:production', 'rollout:production', 'bake:production'].map(
    (name) => ({ name, kind: 'operation', state: states[name] ?? 'pending' }),
  );

// Written as the API's JSON, whose ids are plain texts there.
const detail = (parts: object): RunDetail => parts as unknown as RunDetail;

const prepared = [
  operation('build', 'succeeded', [
    { name: 'start', state: 'succeeded', from: 0, to: 1 },
    { name: 'build', state: 'succeeded', from: 1, to: 13, progress: 'CI passed 3f2a9c1' },
  ]),
  operation('package', 'succeeded', [{ name: 'package', state: 'succeeded', from: 13, to: 15, progress: 'web_1.4.0_all.deb' }]),
  operation('publish', 'succeeded', [{ name: 'publish', state: 'succeeded', from: 15, to: 16 }]),
];
const done = { build: 'done', package: 'done', publish: 'done' };

/** Its build has just begun. */
export const buildingRun = detail({
  run: run({ stage: 'build', version: null }),
  stages: stages({ build: 'running' }),
  operations: [operation('build', 'running', [{ name: 'start', state: 'running', from: 0 }])],
  rollouts: [],
});

/** One canary host has it, the other one is at work. */
export const installingRun = detail({
  run: run({}),
  stages: stages({ ...done, 'rollout:canary': 'running' }),
  operations: [
    ...prepared,
    operation('rollout:canary', 'running', [
      { name: 'plan', state: 'succeeded', from: 16, to: 17 },
      { name: 'install', state: 'running', from: 18, progress: '1 of 2 hosts' },
    ]),
  ],
  rollouts: [rollout('installing', [host('web-canary1', 'installed', installed), host('web-canary2', 'pending', null)])],
});

/** The canary is verified; one host is down. */
export const waitingRun = detail({
  run: run({
    state: 'waiting',
    stage: 'promotion:production',
    waitingFor: 'promotion',
    reason: `canary runs ${VERSION}; waiting for its promotion to production`,
  }),
  stages: stages({ ...done, 'rollout:canary': 'done', 'bake:canary': 'done', 'promotion:production': 'waiting' }),
  operations: [...prepared, operation('rollout:canary', 'succeeded', [{ name: 'verify', state: 'succeeded', from: 18, to: 30 }])],
  rollouts: [
    rollout('verified', [
      host('web-canary1', 'installed', installed),
      host('web-canary2', 'unreachable', { reachable: false, error: { code: 'HOST_UNREACHABLE', message: 'No answer in 10 s' } }),
    ]),
  ],
});

/** Its service failed on the canary, which went back. */
export const rolledBackRun = detail({
  run: run({
    state: 'ended',
    stage: 'rollback:canary',
    outcome: 'rolled-back',
    reason: `${VERSION} failed in canary: web-canary1 is not healthy; canary is back on 1.3.0-20260228100000.aaaaaaa`,
    failure: { code: 'ROLLOUT_NOT_VERIFIED', message: 'not verified' },
    endedAt: at(50),
  }),
  stages: [
    ...stages({ ...done, 'rollout:canary': 'failed', 'bake:canary': 'skipped' }),
    { name: 'rollback:canary', kind: 'rollback', state: 'done' },
  ],
  operations: [
    ...prepared,
    operation('rollout:canary', 'failed', [
      { name: 'verify', state: 'failed', from: 18, to: 30, error: { code: 'ROLLOUT_NOT_VERIFIED', message: 'web-canary1 is not healthy' } },
    ]),
    operation('rollback:canary', 'succeeded', [{ name: 'verify', state: 'succeeded', from: 32, to: 40 }]),
  ],
  rollouts: [
    rollout('failed', [host('web-canary1', 'failed', { ...installed, healthy: false, raw: 'HTTP 500' })]),
    rollout(
      'verified',
      [
        host('web-canary1', 'installed', {
          healthy: true,
          installed: { version: '1.3.0-20260228100000.aaaaaaa', digest: DIGEST, sequence: 8 },
        }),
      ],
      { id: 'web:app:canary:8', sequence: 8, purpose: 'rollback', version: '1.3.0-20260228100000.aaaaaaa' },
    ),
  ],
});

/** Delivered everywhere. */
export const succeededRun = detail({
  ...waitingRun,
  stages: waitingRun.stages.map((stage) => ({ ...stage, state: 'done' })),
  run: run({ state: 'ended', stage: 'bake:production', outcome: 'succeeded', reason: `${VERSION} runs in production`, endedAt: at(55) }),
});
