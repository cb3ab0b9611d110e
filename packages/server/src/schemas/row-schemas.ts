import type { Api, OperationView, RolloutView, RunDetail } from '@pipit/runtime';
import { z } from 'zod';
import {
  artifact,
  artifactId,
  commit,
  errorRecord,
  healthCheck,
  hostReport,
  inbound,
  packageMetadata,
  repositoryRef,
} from './domain-schemas.js';
import { branded, json, named } from './primitive-schemas.js';

/** The pipeline's rows, by the names under which the runtime's API answers with them. */
export type RunRow = RunDetail['run'];
export type EventRow = Awaited<ReturnType<Api['showEvent']>>;
export type ReleaseRow = Awaited<ReturnType<Api['listReleases']>>['rows'][number];
export type AuditHeadRow = Awaited<ReturnType<Api['listAuditHeads']>>['rows'][number];
export type AuditRow = Awaited<ReturnType<Api['listAudit']>>['rows'][number];
type RingPolicy = RunRow['rings'][number];

const ringPolicy: z.ZodType<RingPolicy> = z.object({
  name: branded<RingPolicy['name']>(),
  bakeMs: z.number(),
  minHealthy: z.union([z.object({ hosts: z.number() }), z.object({ share: z.number() })]).nullable(),
  promotion: z.enum(['manual', 'automatic']),
  onFailure: z.enum(['rollback', 'stop']),
});

export const RUN_STATES = ['active', 'waiting', 'ended'] as const;

export const run: z.ZodType<RunRow> = named(
  'Run',
  z.object({
    id: branded<RunRow['id']>(),
    app: branded<RunRow['app']>(),
    role: branded<RunRow['role']>(),
    number: z.number(),
    pipeline: z.string(),
    kind: z.enum(['delivery', 'promotion', 'rollback']),
    pushKey: z.string(),
    repository: repositoryRef,
    ref: branded<RunRow['ref']>(),
    sha: branded<RunRow['sha']>(),
    committedAt: z.string().nullable(),
    author: z.string().nullable(),
    eventId: branded<EventRow['id']>().nullable(),
    actor: z.string().nullable(),
    version: branded<NonNullable<RunRow['version']>>().nullable(),
    rings: z.array(ringPolicy),
    health: healthCheck.nullable(),
    metadata: packageMetadata.nullable(),
    targetRing: branded<NonNullable<RunRow['targetRing']>>().nullable(),
    state: z.enum(RUN_STATES),
    stage: z.string(),
    completedStages: z.array(z.string()),
    waitingFor: z.enum(['rollout-lock', 'bake', 'promotion', 'outside']).nullable(),
    dueAt: z.string().nullable().describe('When the wait ends by itself: an estimate'),
    waitedMs: z.number().describe('For how long its stage has been watched, or has waited for the outside'),
    dueAfterMs: z.number().nullable().describe('The wait ends by itself when waitedMs reaches this'),
    outcome: z.enum(['succeeded', 'failed', 'rolled-back', 'superseded', 'cancelled', 'stale']).nullable(),
    reason: z.string().nullable(),
    failure: errorRecord.nullable(),
    attempt: z.number(),
    cancelRequestedBy: z.string().nullable(),
    createdAt: z.string(),
    updatedAt: z.string(),
    endedAt: z.string().nullable(),
  }),
);

type StepRow = OperationView['steps'][number];

const step: z.ZodType<StepRow> = named(
  'Step',
  z.object({
    operationId: branded<StepRow['operationId']>(),
    name: z.string(),
    position: z.number(),
    state: z.enum(['running', 'succeeded', 'failed', 'cancelled']),
    attempt: z.number(),
    progress: z.string().nullable(),
    error: errorRecord.nullable(),
    startedAt: z.string(),
    endedAt: z.string().nullable(),
  }),
);

export const operation: z.ZodType<OperationView> = named(
  'Operation',
  z.object({
    id: branded<OperationView['id']>(),
    runId: branded<RunRow['id']>(),
    stage: z.string(),
    type: z.enum(['build', 'package', 'publish', 'rollout', 'watch']),
    version: z.number(),
    state: z.enum(['pending', 'running', 'waiting', 'succeeded', 'failed', 'cancelled']),
    input: json,
    result: json,
    error: errorRecord.nullable(),
    attempt: z.number(),
    round: z.number().describe('Raised each time that it is executed again after a fault that may pass'),
    createdAt: z.string(),
    startedAt: z.string().nullable(),
    endedAt: z.string().nullable(),
    steps: z.array(step),
  }),
);

type RolloutHost = RolloutView['hosts'][number];

const rolloutHost: z.ZodType<RolloutHost> = named(
  'RolloutHost',
  z.object({
    rolloutId: branded<RolloutHost['rolloutId']>(),
    hostId: z.string(),
    address: z.string(),
    architecture: z.string().nullable(),
    state: z.enum(['pending', 'installed', 'failed', 'unreachable', 'left']),
    report: hostReport.nullable(),
    updatedAt: z.string(),
  }),
);

export const rollout: z.ZodType<RolloutView> = named(
  'Rollout',
  z.object({
    id: branded<RolloutView['id']>(),
    runId: branded<RunRow['id']>(),
    operationId: branded<OperationView['id']>(),
    app: branded<RunRow['app']>(),
    role: branded<RunRow['role']>(),
    ring: branded<RolloutView['ring']>(),
    sequence: z.number(),
    version: branded<RolloutView['version']>(),
    artifacts: z.array(artifactId),
    purpose: z.enum(['forward', 'rollback']),
    state: z.enum(['planned', 'advertised', 'installing', 'verified', 'failed']),
    reason: z.string().nullable(),
    startedAt: z.string(),
    endedAt: z.string().nullable(),
    hosts: z.array(rolloutHost),
  }),
);

export const release: z.ZodType<ReleaseRow> = named(
  'Release',
  z.object({
    app: branded<ReleaseRow['app']>(),
    version: branded<ReleaseRow['version']>(),
    commit,
    artifacts: z.array(artifact),
    runId: branded<RunRow['id']>(),
    metadata: packageMetadata,
    health: healthCheck.nullable(),
    createdAt: z.string(),
  }),
);

export const event: z.ZodType<EventRow> = named(
  'Event',
  z.object({
    id: branded<EventRow['id']>(),
    instance: z.string(),
    key: z.string(),
    lane: z.string(),
    polled: z.boolean(),
    type: z.enum(['change', 'build', 'alarm', 'command', 'host']),
    body: inbound,
    receivedAt: z.string(),
    state: z.enum(['received', 'handled']),
    outcome: z.string().nullable(),
    runId: branded<RunRow['id']>().nullable(),
  }),
);

export const audit: z.ZodType<AuditRow> = named(
  'AuditLine',
  z.object({
    sequence: z.number(),
    at: z.string(),
    actor: z.string(),
    origin: z.string(),
    action: z.string(),
    subject: z.string(),
    detail: json,
    previousHash: z.string(),
    hash: z.string(),
  }),
);

export const auditHead: z.ZodType<AuditHeadRow> = named(
  'AuditHead',
  z.object({
    sequence: z.number(),
    hash: z.string(),
    at: z.string(),
    keyId: z.string(),
    previousHead: z.string(),
    signature: z.string(),
  }),
);
