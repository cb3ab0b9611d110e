import { type AppName, type Logger, type Notifier, recoveryOf } from '@pipit/core';
import { backoffMs } from '../operations/backoff.js';
import { definitionFor } from '../operations/expand-options.js';
import { errorRecordOf } from '../operations/step-failed.js';
import type { PipelineClock } from '../ports/clock.js';
import type { Effects, Part, PipelineCatalog } from '../ports/parts.js';
import type { Records } from '../ports/records.js';
import type { OperationId, RunId } from '../records/ids.js';
import { pipelineOfRun } from '../records/pipeline-of-run.js';
import type { NoticeRow, RunRow } from '../records/rows.js';
import { noticeOf } from './notice-of.js';

/** Runs whose notices are looked at by one pass, so that a pass stays short. */
const MAX_A_PASS = 200;
/** Runs of one app told of at once: an app whose notifier hangs leaves room for the others. */
const MAX_OF_AN_APP = 5;
/** While one process sends a notice, no other takes it; when that one is killed, the notice is due again after this. */
const SENDING_MS = 3 * 60_000;
const NOTIFY_DEADLINE_MS = 30_000;
const RETRY = { firstMs: 2_000, longestMs: 10 * 60_000 } as const;
/** Some three hours of trying. After that nobody wants to hear it any more. */
const MAX_FAILURES = 25;

export interface NoticePorts {
  readonly records: Records;
  readonly catalog: PipelineCatalog;
  readonly effects: Pick<Effects, 'run'>;
  readonly clock: PipelineClock;
  readonly logger: Logger;
  readonly random: () => number;
  /** Aborted when pipit stops. */
  readonly stopping: AbortSignal;
}

/** The instance, and its place: one instance may be named twice, with other options. */
const keyOf = (part: Part<Notifier<unknown>>, index: number): string => `${part.instance}#${index}`;

interface Outcome {
  readonly handles: NoticeRow['handles'];
  readonly told: NoticeRow['told'];
  readonly error: string | null;
  readonly mayRetry: boolean;
}

/** Tells each notifier of the pipeline that does not know this version of the run yet. */
const tellAll = async (ports: NoticePorts, row: NoticeRow, run: RunRow): Promise<Outcome> => {
  const found = pipelineOfRun(ports.catalog, run);
  const handles = { ...row.handles };
  const told = { ...row.told };
  let error: string | null = null;
  let mayRetry = false;
  for (const [index, part] of (found === undefined ? [] : definitionFor(found, run.app).notifiers).entries()) {
    const name = keyOf(part, index);
    if (told[name] === row.version) continue;
    const previous = handles[name];
    const request = {
      part,
      operationId: `${run.id}:notices` as OperationId, // no row bears it, and it has no folder to clean up
      step: 'notify',
      key: `${run.id}:notice:${row.version}:${index}`,
      attempt: row.failures + 1,
      commit: undefined,
      folder: 'none',
      deadlineMs: NOTIFY_DEADLINE_MS,
      signal: ports.stopping,
      onReport: () => undefined,
      onOutput: () => undefined,
    } as const;
    try {
      const handle = await ports.effects.run(request, (op) =>
        part.subject.notify({ notice: noticeOf(run), options: part.options, ...(previous === undefined ? {} : { previous }) }, op),
      );
      if (handle !== undefined) handles[name] = handle;
      told[name] = row.version;
    } catch (thrown) {
      const { code, message } = errorRecordOf(thrown);
      error = `${code}: ${message}`;
      if (recoveryOf(thrown) === 'stop') told[name] = row.version;
      else mayRetry = true;
      ports.logger.warn({ runId: run.id, instance: part.instance, code, error: message }, 'Notice not delivered');
    }
  }
  return { handles, told, error, mayRetry };
};

/** Takes a due notice for this process, durably; undefined when another has it. */
const claim = (ports: NoticePorts, { runId }: NoticeRow): Promise<NoticeRow | undefined> =>
  ports.records.transaction(async (transaction) => {
    await transaction.lock(`notice:${runId}`);
    const now = ports.clock.now().getTime();
    const row = await transaction.get('notices', { runId });
    if (row === undefined || row.dueAt === null || Date.parse(row.dueAt) > now) return undefined;
    // Durable, and with it the run's move: nobody is told of what a power cut could take back.
    await transaction.update('notices', { runId }, { dueAt: new Date(now + SENDING_MS).toISOString() });
    return row;
  });

const tell = async (ports: NoticePorts, due: NoticeRow): Promise<void> => {
  const { records, clock, random } = ports;
  const row = await claim(ports, due);
  if (row === undefined) return;
  const run = await records.get('runs', { id: row.runId });
  const { handles, told, error, mayRetry } =
    run === undefined ? { handles: row.handles, told: row.told, error: null, mayRetry: false } : await tellAll(ports, row, run);
  await records.transaction(async (transaction) => {
    // Runs are changed under it: what changes now is told at the next pass, and not forgotten.
    if (run !== undefined) await transaction.lock(`app:${run.app}`);
    const current = await transaction.get('notices', { runId: row.runId });
    const failures = mayRetry ? row.failures + 1 : 0;
    const now = clock.now().getTime();
    const again = now + backoffMs(failures, random, RETRY);
    // The run moved on meanwhile, or pipit stops: what it is now is told at the next pass.
    const isNewer = ports.stopping.aborted || (current !== undefined && current.version !== row.version);
    const next = isNewer ? now : mayRetry && failures <= MAX_FAILURES ? again : undefined;
    const dueAt = next === undefined ? null : new Date(next).toISOString();
    await transaction.update('notices', { runId: row.runId }, { handles, told, lastError: error, failures: isNewer ? 0 : failures, dueAt });
  });
};

export interface NoticeSender {
  /** Starts to tell the notifiers of every run that changed since they were told. Waits for none of them. One sweep at a time. */
  sweep(): Promise<void>;
  /** Returns when no notice is being sent any more. */
  settle(): Promise<void>;
}

/** Sends notices at least once; what a notifier returned before is handed back, to update in place. A notifier that hangs delays no other app's. */
export const createNoticeSender = (ports: NoticePorts): NoticeSender => {
  const { records, clock, logger } = ports;
  const sending = new Map<RunId, { readonly app: AppName; readonly work: Promise<void> }>();
  let lookedTo: RunId | undefined;

  const start = (row: NoticeRow, app: AppName): void => {
    const work = tell(ports, row)
      .catch((error: unknown) => logger.warn({ runId: row.runId, error }, 'Notice not sent; it is tried again'))
      .finally(() => sending.delete(row.runId));
    sending.set(row.runId, { app, work });
  };

  const sweep = async (): Promise<void> => {
    // In turn over all that are due: an app with more of them than a pass takes, and a notifier that hangs, keeps no other app's waiting.
    const due = await records.list('notices', {
      atMost: { column: 'dueAt', value: clock.now().toISOString() },
      ...(lookedTo === undefined ? {} : { after: { column: 'runId', value: lookedTo } }),
      limit: MAX_A_PASS,
    });
    lookedTo = due.length < MAX_A_PASS ? undefined : due.at(-1)?.runId;
    const free = due.filter((row) => !sending.has(row.runId));
    if (free.length === 0) return;
    const runs = new Map((await records.list('runs', { where: { id: free.map((row) => row.runId) } })).map((run) => [run.id, run.app]));
    for (const row of free) {
      const app = runs.get(row.runId);
      if (app === undefined || ports.stopping.aborted || sending.has(row.runId)) continue;
      if ([...sending.values()].filter((each) => each.app === app).length < MAX_OF_AN_APP) start(row, app);
    }
  };

  return {
    sweep,
    settle: async () => {
      await Promise.all([...sending.values()].map((each) => each.work));
    },
  };
};
