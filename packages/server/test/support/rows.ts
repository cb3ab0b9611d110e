import type { AppName, Digest, PackageName, PackageVersion, RefName, RingName, RoleName } from '@pipit/core';
import type { AppView, HostView, LogView, PlanView, RunDetail, TokenView } from '@pipit/runtime';
import type { AuditRow, EventRow, ReleaseRow, RunRow } from '../../src/schemas/row-schemas.js';

/** Rows with every optional field somewhere present, so that what a schema forgets is missed by the contract test. */

const AT = '2026-03-01T10:00:00.000Z';
const SHA = 'a'.repeat(40) as RunRow['sha'];
const VERSION = '1.4.0-20260301100000.aaaaaaa' as PackageVersion;
const DIGEST: Digest = `sha256:${'b'.repeat(64)}`;
const WEB = 'web' as AppName;
const ROLE = 'app' as RoleName;
const CANARY = 'canary' as RingName;
const repository = { id: '42', name: 'acme/web', url: 'https://git.example.org/acme/web.git' };
const metadata = {
  description: 'The shop',
  depends: ['libc6 (>= 2.36)'],
  architectures: ['amd64'],
  prefix: '/opt/web',
  configFiles: ['/etc/web.conf'],
  services: [],
};
const health = { type: 'http', port: 8080, path: '/health', withinMs: 30_000 } as const;
const artifactId = { format: 'deb', name: 'web' as PackageName, version: VERSION, architecture: 'amd64', digest: DIGEST } as const;
const report = {
  hostId: 'web1',
  reachable: true,
  busy: false,
  healthy: true,
  raw: 'HTTP 200',
  installed: { version: VERSION, digest: DIGEST, sequence: 3 },
  error: { code: 'HOST_SLOW', message: 'It took its time', hint: 'Look at its load.' },
};

export const runRow = (number: number, changes: Partial<RunRow> = {}): RunRow => ({
  id: `web-${number}` as RunRow['id'],
  app: WEB,
  role: ROLE,
  number,
  pipeline: 'web',
  kind: 'delivery',
  pushKey: `push-${number}`,
  repository,
  ref: 'refs/heads/main' as RefName,
  sha: SHA,
  committedAt: AT,
  author: 'ada',
  eventId: 'event-1' as EventRow['id'],
  actor: null,
  version: VERSION,
  rings: [
    { name: CANARY, bakeMs: 1000, minHealthy: { share: 0.5 }, promotion: 'manual', onFailure: 'rollback' },
    { name: 'production' as RingName, bakeMs: 0, minHealthy: { hosts: 2 }, promotion: 'manual', onFailure: 'stop' },
  ],
  health,
  metadata,
  targetRing: null,
  state: 'waiting',
  stage: 'promotion:production',
  completedStages: ['build', 'package'],
  waitingFor: 'promotion',
  dueAt: null,
  waitedMs: 0,
  dueAfterMs: null,
  outcome: null,
  reason: 'waits for a promotion',
  failure: { code: 'CI_FAILED', message: 'It failed', hint: 'Read the log.' },
  attempt: 1,
  cancelRequestedBy: null,
  createdAt: AT,
  updatedAt: AT,
  endedAt: null,
  ...changes,
});

export const eventRows: readonly EventRow[] = [
  {
    id: 'event-1' as EventRow['id'],
    instance: 'github',
    key: 'delivery-1',
    lane: 'l',
    polled: false,
    type: 'change',
    body: {
      type: 'change',
      event: { key: 'delivery-1', repository, ref: 'refs/heads/feature/login' as RefName, sha: SHA, before: SHA, author: 'ada' },
    },
    receivedAt: AT,
    state: 'handled',
    outcome: 'started run web-1',
    runId: 'web-1' as RunRow['id'],
  },
  {
    id: 'event-2' as EventRow['id'],
    instance: 'jenkins',
    key: 'build-7',
    lane: 'l',
    polled: false,
    type: 'build',
    body: { type: 'build', handle: '7', key: 'web-1:build:1', commit: SHA },
    receivedAt: AT,
    state: 'received',
    outcome: null,
    runId: null,
  },
  {
    id: 'event-3' as EventRow['id'],
    instance: 'alertmanager',
    key: 'alarm-1',
    lane: 'l',
    polled: false,
    type: 'alarm',
    body: { type: 'alarm', alarm: { id: 'alarm-1', firing: true, since: AT, labels: { severity: 'page' } } },
    receivedAt: AT,
    state: 'received',
    outcome: null,
    runId: null,
  },
  {
    id: 'event-4' as EventRow['id'],
    instance: 'chat',
    key: 'command-1',
    lane: 'l',
    polled: false,
    type: 'command',
    body: { type: 'command', command: { userId: 'ada', words: ['promote', 'web'], replyTo: 'room-1' } },
    receivedAt: AT,
    state: 'received',
    outcome: null,
    runId: null,
  },
  {
    id: 'event-5' as EventRow['id'],
    instance: 'agents',
    key: 'host-1',
    lane: 'l',
    polled: false,
    type: 'host',
    body: { type: 'host', ring: { app: WEB, role: ROLE, ring: CANARY }, report },
    receivedAt: AT,
    state: 'received',
    outcome: null,
    runId: null,
  },
];

export const auditRow = (sequence: number): AuditRow => ({
  sequence,
  at: AT,
  actor: 'token:main',
  origin: '127.0.0.1',
  action: 'run.promote',
  subject: 'web-1',
  detail: { ring: 'production', why: null, nested: [1, { a: true }] },
  previousHash: '0'.repeat(64),
  hash: 'f'.repeat(64),
});

export const releaseRow: ReleaseRow = {
  app: WEB,
  version: VERSION,
  commit: { repository, sha: SHA, committedAt: AT },
  artifacts: [
    { ...artifactId, content: { sha256: DIGEST, size: 1234 } },
    { ...artifactId, format: 'oci', content: { reference: 'registry.example.org/web@sha256:abc' } },
  ],
  runId: 'web-1' as RunRow['id'],
  metadata,
  health: { type: 'command', argv: ['/usr/bin/check', '--all'], withinMs: 5 },
  createdAt: AT,
};

export const runDetail = (run: RunRow): RunDetail => ({
  run,
  stages: [
    { name: 'build', kind: 'operation', state: 'done' },
    { name: 'promotion:production', kind: 'promotion', state: 'waiting' },
  ],
  operations: [
    {
      id: `${run.id}:build:1` as RunDetail['operations'][number]['id'],
      runId: run.id,
      stage: 'build',
      type: 'build',
      version: 1,
      state: 'succeeded',
      input: { sha: SHA },
      result: null,
      error: null,
      attempt: 1,
      round: 1,
      createdAt: AT,
      startedAt: AT,
      endedAt: AT,
      steps: [
        {
          operationId: `${run.id}:build:1` as RunDetail['operations'][number]['id'],
          name: 'start',
          position: 1,
          state: 'succeeded',
          attempt: 2,
          progress: 'queued',
          error: { code: 'TASK_LOST', message: 'Lost once' },
          startedAt: AT,
          endedAt: AT,
        },
      ],
    },
  ],
  rollouts: [
    {
      id: 'web:app:canary:3' as RunDetail['rollouts'][number]['id'],
      runId: run.id,
      operationId: `${run.id}:rollout:canary:1` as RunDetail['operations'][number]['id'],
      app: WEB,
      role: ROLE,
      ring: CANARY,
      sequence: 3,
      version: VERSION,
      artifacts: [artifactId],
      purpose: 'forward',
      state: 'verified',
      reason: null,
      startedAt: AT,
      endedAt: AT,
      hosts: [
        {
          rolloutId: 'web:app:canary:3' as RunDetail['rollouts'][number]['id'],
          hostId: 'web1',
          address: '10.0.0.1',
          architecture: 'amd64',
          state: 'installed',
          report,
          updatedAt: AT,
        },
      ],
    },
  ],
});

export const appView = (latestRun: RunRow): AppView => ({
  app: WEB,
  repositoryId: '42',
  repositoryName: 'acme/web',
  pipeline: 'web',
  ref: 'refs/heads/main' as RefName,
  createdAt: AT,
  role: 'app',
  rings: [{ ring: 'canary', version: VERSION, commit: SHA, state: 'verified', sequence: 3, since: AT, behindBy: 0 }],
  latestRun,
});

export const hostView: HostView = {
  ring: 'canary',
  hostId: 'web1',
  address: '10.0.0.1',
  available: false,
  reason: 'drained',
  attributes: { architecture: 'amd64' },
  advertised: { version: VERSION, sequence: 3 },
  report,
  converged: true,
};

export const logView: LogView = {
  operations: [
    { operationId: 'web-1:build:1', stage: 'build', truncated: true, pieces: [{ sequence: 1, at: AT, text: 'make: ok\n', step: 'start' }] },
  ],
};

export const planView: PlanView = {
  app: 'web',
  pipeline: 'web',
  commit: SHA,
  version: VERSION,
  published: false,
  stages: [{ name: 'build', what: 'jenkins builds it' }],
  rings: [{ ring: 'canary', runs: null, hosts: [{ id: 'web1', available: true }] }],
  problems: [{ code: 'RING_HAS_NO_HOSTS', message: 'No hosts', hint: 'Tag some.' }],
};

export const begun = { runId: 'web-2' as RunRow['id'], ring: 'production' as RingName, version: VERSION };
export { VERSION };

export const tokenView: TokenView = {
  id: 'abcdefghijkl',
  name: 'ci',
  preset: 'deliver',
  createdAt: '2026-01-01T00:00:00.000Z',
  createdBy: 'local:root',
  expiresAt: '2026-04-01T00:00:00.000Z',
  lastUsedAt: null,
  revokedAt: null,
  revokedBy: null,
};
