import type { Logger } from '@pipit/core';
import type { PipelineClock } from '../ports/clock.js';
import type { Effects } from '../ports/parts.js';
import type { Records } from '../ports/records.js';
import type { CleanupRow, OperationState } from '../records/rows.js';
import { limitQuickWork } from './limit-concurrency.js';

/** Clean-ups of one place done by one pass, so that a pass stays short. */
const MAX_A_PASS = 50;
/** What could not be cleaned up waits before the next try: a host that is down costs its time-out each time. */
const RETRY_AFTER_MS = 60_000;
/** Removals over all places; each may be a connection to a host. */
const AT_ONCE = { atOnce: 8, quickMs: 1_000, slowAtOnce: 64 } as const;

/** A look from outside any operation has a folder too, for a minute at most; only what a crash left of one is older. */
const VIEW_GRACE_MS = 2 * 60_000;

/** Of an operation that waits, the next round goes on in its folders. */
const OPEN: ReadonlySet<OperationState> = new Set(['pending', 'running', 'waiting']);

export interface JanitorPorts {
  readonly records: Records;
  readonly effects: Pick<Effects, 'removeFolder'>;
  readonly clock: PipelineClock;
  readonly logger: Logger;
  readonly stopping: AbortSignal;
}

export interface Janitor {
  /** Starts to remove what belongs to operations that have ended, or that never came to be. Waits for no removal. */
  sweep(): Promise<void>;
  /** Returns when nothing is being removed any more. */
  settle(): Promise<void>;
}

/** Where a row's folder is: this machine, or another host. A host that hangs keeps nobody else's folders from being removed. */
const placeOf = ({ kind, target }: CleanupRow): string => {
  if (kind === 'folder') return kind;
  try {
    const { path: _path, ...host } = JSON.parse(target) as Record<string, unknown>; // written by whoever made the folder
    return JSON.stringify(host);
  } catch {
    return target;
  }
};

/** Works through the table of what must be cleaned up, each place apart from the others. */
export const createJanitor = ({ records, effects, clock, logger, stopping }: JanitorPorts): Janitor => {
  // Only a wait: a restarted pipit tries everything at once, which is what anyone who restarts it wants.
  const resting = new Set<string>();
  const busy = new Map<string, Promise<void>>();
  const inSlot = limitQuickWork({ ...AT_ONCE, clock });

  const rest = (id: string): void => {
    resting.add(id);
    void clock.sleep(RETRY_AFTER_MS, stopping).then(() => resting.delete(id));
  };

  const isDue = async (row: CleanupRow): Promise<boolean> => {
    const operation = await records.get('operations', { id: row.operationId });
    if (operation !== undefined && OPEN.has(operation.state)) return false;
    return operation !== undefined || clock.now().getTime() - Date.parse(row.createdAt) >= VIEW_GRACE_MS;
  };

  const removeAll = async (rows: readonly CleanupRow[]): Promise<void> => {
    let done = 0;
    for (const row of rows) {
      if (done >= MAX_A_PASS || stopping.aborted) return;
      if (!(await isDue(row))) continue;
      done += 1;
      try {
        await inSlot(() => effects.removeFolder(row));
        await records.transaction((transaction) => transaction.remove('cleanups', { id: row.id }));
      } catch (error) {
        const lastError = error instanceof Error ? error.message : String(error);
        if (lastError !== row.lastError) logger.warn({ target: row.target, error: lastError }, 'Not cleaned up; a later pass tries again');
        rest(row.id);
        await records.transaction((transaction) => transaction.update('cleanups', { id: row.id }, { lastError }));
      }
    }
  };

  const start = (place: string, rows: readonly CleanupRow[]): void => {
    if (busy.has(place)) return;
    // What failed before comes last: a folder that cannot be removed keeps no other from being removed.
    const order = [...rows.filter((row) => row.lastError === null), ...rows.filter((row) => row.lastError !== null)];
    const work = removeAll(order)
      .catch((error: unknown) => logger.warn({ place, error }, 'Clean-up broke off; a later pass tries again'))
      .finally(() => busy.delete(place));
    busy.set(place, work);
  };

  return {
    sweep: async () => {
      const open = (await records.list('cleanups')).filter((row) => !resting.has(row.id));
      const places = new Map<string, CleanupRow[]>();
      for (const row of open) places.set(placeOf(row), [...(places.get(placeOf(row)) ?? []), row]);
      for (const [place, rows] of places) start(place, rows);
    },
    settle: async () => {
      await Promise.all(busy.values());
    },
  };
};
