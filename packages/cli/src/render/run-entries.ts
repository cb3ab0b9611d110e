import { assertNever } from '@pipit/core';
import type { OperationView, RolloutView, RunDetail, StageView } from '@pipit/runtime';
import { cleanLine } from './clean-text.js';

export type EntryState = 'done' | 'running' | 'waiting' | 'failed' | 'cancelled' | 'skipped' | 'pending';

/** One line of a run: a step of an operation, or a stage that has none (yet). */
export interface StepEntry {
  /** The same as long as it stands for the same step. */
  readonly key: string;
  readonly stage: string;
  /** Empty: the stage itself. */
  readonly step: string;
  readonly state: EntryState;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** Its error, else its progress, else why it waits. */
  readonly note: string;
}

export interface HostEntry {
  readonly key: string;
  readonly hostId: string;
  /** What its own package database says; null: not known. */
  readonly version: string | null;
  /** The first characters of the installed file's digest; null: not known. */
  readonly digest: string | null;
  readonly state: RolloutView['hosts'][number]['state'];
  readonly reason: string;
}

/** The last rollout of a run in one ring. */
export interface RingEntry {
  readonly key: string;
  readonly ring: string;
  readonly version: string;
  readonly purpose: RolloutView['purpose'];
  readonly state: RolloutView['state'];
  readonly reason: string;
  readonly hosts: readonly HostEntry[];
}

export interface RunEntries {
  readonly steps: readonly StepEntry[];
  readonly rings: readonly RingEntry[];
}

/** Enough to tell two packages of a run apart by eye. */
const DIGEST_CHARACTERS = 12;

export const shortDigest = (digest: string): string => {
  const [algorithm = '', hex = ''] = digest.split(':');
  return `${algorithm}:${hex.slice(0, DIGEST_CHARACTERS)}`;
};

const stepState = (state: OperationView['steps'][number]['state']): EntryState => (state === 'succeeded' ? 'done' : state);

const operationState = (state: OperationView['state']): EntryState => {
  switch (state) {
    case 'succeeded':
      return 'done';
    // The run's line says what it waits for.
    case 'waiting':
      return 'pending';
    case 'pending':
    case 'running':
    case 'failed':
    case 'cancelled':
      return state;
    default:
      return assertNever(state);
  }
};

const operationEntries = (operation: OperationView): readonly StepEntry[] => {
  const { id, stage, steps } = operation;
  const entries = [...steps]
    .sort((one, other) => one.position - other.position)
    .map(
      (step): StepEntry => ({
        key: `${id}/${step.name}`,
        stage,
        step: step.name,
        state: stepState(step.state),
        startedAt: step.startedAt,
        endedAt: step.endedAt,
        note: cleanLine(step.error?.message ?? step.progress ?? ''),
      }),
    );
  // An operation can fail or be cancelled outside of any step, and has no step before it begins.
  const isShown = entries.some((entry) => entry.state === operationState(operation.state)) || operation.state === 'running';
  if (entries.length > 0 && isShown) return entries;
  if (entries.length > 0 && operation.state === 'succeeded') return entries;
  const own: StepEntry = {
    key: id,
    stage,
    step: '',
    state: operationState(operation.state),
    startedAt: operation.startedAt,
    endedAt: operation.endedAt,
    note: cleanLine(operation.error?.message ?? ''),
  };
  return [...entries, own];
};

const stageEntry = (stage: StageView, { run }: RunDetail): StepEntry => ({
  key: stage.name,
  stage: stage.name,
  step: '',
  state: stage.state,
  startedAt: null,
  endedAt: null,
  note: stage.state === 'waiting' && run.stage === stage.name ? cleanLine(run.reason ?? '') : '',
});

const hostReason = (host: RolloutView['hosts'][number]): string => {
  if (host.state === 'left') return `no package for ${host.architecture ?? 'its architecture'}`;
  const { report } = host;
  if (report === null) return '';
  if (report.error !== undefined) return cleanLine(report.error.message);
  if (report.healthy === false)
    return cleanLine(report.raw === undefined ? 'its health check fails' : `its health check fails: ${report.raw}`);
  return host.state === 'installed' ? '' : cleanLine(report.raw ?? '');
};

const ringEntry = (rollout: RolloutView): RingEntry => ({
  key: rollout.id,
  ring: rollout.ring,
  version: rollout.version,
  purpose: rollout.purpose,
  state: rollout.state,
  reason: cleanLine(rollout.reason ?? ''),
  hosts: rollout.hosts.map((host) => ({
    key: `${rollout.id}/${host.hostId}`,
    hostId: cleanLine(host.hostId),
    version: host.report?.installed?.version ?? null,
    digest: host.report?.installed?.digest === undefined ? null : shortDigest(host.report.installed.digest),
    state: host.state,
    reason: hostReason(host),
  })),
});

/** Everything that is shown of a run, in the order in which it is shown. */
export const readRunEntries = (detail: RunDetail): RunEntries => {
  const { stages, operations, rollouts } = detail;
  const named = new Set(stages.map((stage) => stage.name));
  // What a run turned aside to (a rollback) need not stand in its plan; it comes last.
  const aside = operations.filter((operation) => !named.has(operation.stage));
  const steps = [
    ...stages.flatMap((stage) => {
      const own = operations.filter((operation) => operation.stage === stage.name);
      return own.length === 0 ? [stageEntry(stage, detail)] : own.flatMap(operationEntries);
    }),
    ...aside.flatMap(operationEntries),
  ];
  const latest = new Map<string, RolloutView>();
  for (const rollout of rollouts) {
    const before = latest.get(rollout.ring);
    if (before === undefined || before.sequence <= rollout.sequence) latest.set(rollout.ring, rollout);
  }
  return { steps, rings: [...latest.values()].map(ringEntry) };
};
