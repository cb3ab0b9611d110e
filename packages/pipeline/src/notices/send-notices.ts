import { type Logger, type Notifier, recoveryOf } from '@pipit/core';
import { backoffMs } from '../operations/backoff.js';
import { definitionFor } from '../operations/expand-options.js';
import { errorRecordOf } from '../operations/step-failed.js';
import type { PipelineClock } from '../ports/clock.js';
import type { Effects, Part, PipelineCatalog } from '../ports/parts.js';
import type { Records } from '../ports/records.js';
import type { OperationId } from '../records/ids.js';
import type { NoticeRow, RunRow } from '../records/rows.js';
import { noticeOf } from './notice-of.js';

/** Runs told of by one pass, so that a pass stays short. */
const MAX_A_PASS = 20;
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
  const found = ports.catalog.get(run.pipeline);
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

const tell = async (ports: NoticePorts, row: NoticeRow): Promise<void> => {
  const { records, clock, random } = ports;
  const run = await records.get('runs', { id: row.runId });
  // What stores a move may not have reached the disk yet, and nobody is told of what a power cut could take back: this commit is behind it.
  await records.transaction((transaction) => transaction.update('notices', { runId: row.runId }, { failures: row.failures }));
  const { handles, told, error, mayRetry } =
    run === undefined ? { handles: row.handles, told: row.told, error: null, mayRetry: false } : await tellAll(ports, row, run);
  if (ports.stopping.aborted) return;
  await records.transaction(async (transaction) => {
    const current = await transaction.get('notices', { runId: row.runId });
    const failures = mayRetry ? row.failures + 1 : 0;
    const again = clock.now().getTime() + backoffMs(failures, random, RETRY);
    // The run moved on meanwhile: what it is now is told at the next pass.
    const isNewer = current !== undefined && current.version !== row.version;
    const dueAt = isNewer ? current.dueAt : mayRetry && failures <= MAX_FAILURES ? new Date(again).toISOString() : null;
    await transaction.update('notices', { runId: row.runId }, { handles, told, lastError: error, failures: isNewer ? 0 : failures, dueAt });
  });
};

/** Tells the notifiers of every run that changed since they were told. At least once; what it returned before is handed back, to update in place. */
export const sendNotices = async (ports: NoticePorts): Promise<void> => {
  const due = (): Promise<readonly NoticeRow[]> =>
    ports.records.list('notices', {
      atMost: { column: 'dueAt', value: ports.clock.now().toISOString() },
      orderBy: ['dueAt', 'ascending'],
      limit: MAX_A_PASS,
    });
  if ((await due()).length === 0) return;
  await ports.records.exclusively('notices', async () => {
    for (const row of await due()) {
      if (ports.stopping.aborted) return;
      await tell(ports, row);
    }
  });
};
