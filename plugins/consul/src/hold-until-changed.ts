import type { Call, Cursor } from '@pipit/core';
import type { ConsulClient, ConsulQuestion } from './consul-client.js';
import { unknownAnswer } from './consul-failure.js';

/** A held question is answered this long before the call's deadline. */
const ANSWER_BEFORE_MS = 750;
/** Proxies and firewalls cut connections that are silent for longer. */
const MAX_WAIT_MS = 120_000;
/** A little more than what Consul adds to a wait. */
const WAIT_SHARE = 0.94;

/** A question, and the index of what it was answered. */
export interface Watched {
  readonly question: Omit<ConsulQuestion, 'signal' | 'hold'>;
  readonly index: number | undefined;
}

export interface Looked<T> {
  readonly answer: T;
  readonly watched: readonly Watched[];
}

interface HoldRequest<T> {
  readonly client: ConsulClient;
  readonly look: () => Promise<Looked<T>>;
  readonly after: Cursor | undefined;
  readonly call: Pick<Call, 'signal' | 'deadline' | 'clock'>;
}

/** Waits until one of the questions may have another answer. */
const waitForAny = async (client: ConsulClient, watched: readonly Watched[], waitMs: number, signal: AbortSignal): Promise<void> => {
  const ended = new AbortController();
  try {
    await Promise.race(
      watched.map(({ question, index }) => {
        // An index below 1 would not block. Source: Consul's documentation of blocking queries.
        if (index === undefined || index < 1) throw unknownAnswer(question.path, 'it has no X-Consul-Index');
        return client.ask({ ...question, hold: { index, waitMs }, signal: AbortSignal.any([signal, ended.signal]) });
      }),
    );
  } finally {
    ended.abort();
  }
};

/**
 * Looks, and waits by blocking queries, until the answer's cursor differs from `after` or the call's deadline is near; then gives the last
 * answer. Every look asks anew and without an index, and only its own index is waited on: so an index that went backwards (data lost or
 * restored) is never waited for, and a wake-up that changed nothing is waited out.
 */
export const holdUntilChanged = async <T extends { readonly cursor: Cursor }>({
  client,
  look,
  after,
  call,
}: HoldRequest<T>): Promise<T> => {
  for (;;) {
    const { answer, watched } = await look();
    const leftMs = call.deadline.getTime() - ANSWER_BEFORE_MS - call.clock.now().getTime();
    if (after === undefined || answer.cursor !== after || leftMs <= 0 || call.signal.aborted) return answer;
    await waitForAny(client, watched, Math.max(1, Math.floor(Math.min(leftMs, MAX_WAIT_MS) * WAIT_SHARE)), call.signal);
  }
};
