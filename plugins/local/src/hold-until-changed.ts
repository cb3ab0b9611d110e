import { setTimeout as delay } from 'node:timers/promises';
import type { Call, Cursor } from '@pipit/core';

/** How often a held question looks again. Files are small, and a watch of the file system would miss what editors and links do. */
const POLL_MS = 200;
/** A held question is answered this long before the call's deadline. */
const ANSWER_BEFORE_MS = 250;

/** Looks again until the answer's cursor differs from `after`, the call's deadline is near or it is cancelled; then gives the last answer. */
export const holdUntilChanged = async <T extends { readonly cursor: Cursor }>(
  look: () => Promise<T>,
  after: Cursor | undefined,
  call: Pick<Call, 'signal' | 'deadline' | 'clock'>,
): Promise<T> => {
  for (;;) {
    const answer = await look();
    const isLate = call.clock.now().getTime() > call.deadline.getTime() - ANSWER_BEFORE_MS;
    if (after === undefined || answer.cursor !== after || isLate || call.signal.aborted) return answer;
    await delay(POLL_MS, undefined, { signal: call.signal }).catch(() => undefined);
  }
};
