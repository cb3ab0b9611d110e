import type { Api, AppView, CreatedToken, Finding, HostView, LogView, Page, PlanView, RunDetail, TokenView } from '@pipit/runtime';
import { z } from 'zod';
import { errorRecord, healthFindingShape, hostReport } from './domain-schemas.js';
import { branded, labels, named, tokenPreset } from './primitive-schemas.js';
import { operation, type RunRow, rollout, run } from './row-schemas.js';

/** Rows of a list, newest first, and what to give as `before` for the following page. */
export const pageOf = <Row>(row: z.ZodType<Row>): z.ZodType<Page<Row>> => z.object({ rows: z.array(row), next: z.string().nullable() });

const ring = z.object({
  ring: z.string(),
  version: z.string().nullable(),
  commit: z.string().nullable(),
  state: z.enum(['empty', 'rolling-out', 'verified', 'failed']),
  sequence: z.number(),
  since: z.string().nullable(),
  behindBy: z.number(),
});

export const app: z.ZodType<AppView> = named(
  'App',
  z.object({
    app: branded<AppView['app']>(),
    repositoryId: z.string(),
    repositoryName: z.string(),
    pipeline: z.string(),
    ref: branded<AppView['ref']>(),
    createdAt: z.string(),
    role: z.string(),
    rings: z.array(ring),
    latestRun: run.nullable(),
  }),
);

export const runDetail: z.ZodType<RunDetail> = named(
  'RunDetail',
  z.object({
    run,
    stages: z.array(
      z.object({
        name: z.string(),
        kind: z.enum(['operation', 'rollout', 'bake', 'promotion', 'rollback']),
        state: z.enum(['done', 'running', 'waiting', 'failed', 'skipped', 'pending']),
      }),
    ),
    operations: z.array(operation),
    rollouts: z.array(rollout),
  }),
);

export const logView: z.ZodType<LogView> = named(
  'Log',
  z.object({
    operations: z.array(
      z.object({
        operationId: z.string(),
        stage: z.string(),
        truncated: z.boolean(),
        pieces: z.array(z.object({ sequence: z.number(), at: z.string(), text: z.string(), step: z.string() })),
      }),
    ),
  }),
);

export const host: z.ZodType<HostView> = named(
  'Host',
  z.object({
    ring: z.string(),
    hostId: z.string(),
    address: z.string(),
    available: z.boolean(),
    reason: z.string().nullable(),
    attributes: labels,
    advertised: z.object({ version: z.string(), sequence: z.number() }).nullable(),
    report: hostReport.nullable(),
    converged: z.boolean(),
  }),
);

export const plan: z.ZodType<PlanView> = named(
  'Plan',
  z.object({
    app: z.string(),
    pipeline: z.string(),
    commit: z.string(),
    version: z.string(),
    published: z.boolean(),
    stages: z.array(z.object({ name: z.string(), what: z.string() })),
    rings: z.array(
      z.object({
        ring: z.string(),
        runs: z.string().nullable(),
        hosts: z.array(z.object({ id: z.string(), available: z.boolean() })),
      }),
    ),
    problems: z.array(errorRecord),
  }),
);

export const finding: z.ZodType<Finding> = named('Finding', z.object({ instance: z.string(), ...healthFindingShape }));

type Promoted = Awaited<ReturnType<Api['promote']>>;
type RolledBack = Awaited<ReturnType<Api['rollback']>>;
type Cancelled = Awaited<ReturnType<Api['cancel']>>;

/** The run that does it, the ring, and what the ring gets. */
export const begun: z.ZodType<Promoted> = named(
  'Begun',
  z.object({
    runId: branded<RunRow['id']>(),
    ring: branded<Promoted['ring']>(),
    version: branded<Promoted['version']>(),
  }),
);

const did = z.array(z.string()).describe('What the command did and what follows, one sentence each');

export const rolledBack: z.ZodType<RolledBack> = named(
  'RollbackBegun',
  z.object({
    runId: branded<RunRow['id']>(),
    ring: branded<RolledBack['ring']>(),
    version: branded<RolledBack['version']>(),
    did,
  }),
);

export const cancelled: z.ZodType<Cancelled> = named('CancelRequested', z.object({ runId: branded<RunRow['id']>(), did }));

type Retried = Awaited<ReturnType<Api['retry']>>;

export const retried: z.ZodType<Retried> = named(
  'RetryBegun',
  z.object({
    runId: branded<RunRow['id']>(),
    stage: z.string().describe('Where it goes on'),
    attempt: z.number().describe('The number of this try, from 2'),
  }),
);

type Reconciled = Awaited<ReturnType<Api['reconcile']>>;

export const reconciled: z.ZodType<Reconciled> = named(
  'Reconciled',
  z.object({ rings: z.array(z.object({ ring: z.string(), sequence: z.number() })) }),
);

export const errorBody = named('Error', z.object({ error: errorRecord }));

const tokenShape = {
  id: z.string(),
  name: z.string(),
  preset: tokenPreset,
  createdAt: z.string(),
  createdBy: z.string(),
  expiresAt: z.string().nullable(),
  lastUsedAt: z.string().nullable().describe('To the hour'),
  revokedAt: z.string().nullable(),
  revokedBy: z.string().nullable(),
};

export const token: z.ZodType<TokenView> = named('Token', z.object(tokenShape));
export const createdToken: z.ZodType<CreatedToken> = named('CreatedToken', z.object({ ...tokenShape, token: z.string() }));
