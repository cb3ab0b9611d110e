import { setTimeout as delay } from 'node:timers/promises';
import { isPluginError } from '@pipit/core';
import type { Api, Change } from '@pipit/runtime';
import { z } from 'zod';
import { type HttpCaller, unreadable } from './http-call.js';
import { createEventStreamParser, type SignOfLife, type StreamEvent } from './parse-event-stream.js';

export interface FollowPorts {
  readonly open: HttpCaller['open'];
  readonly reconnectForMs: number;
  readonly silenceMs: number;
  /** The newest runs: those to look at again when it is not known what was missed. */
  readonly listRunIds: () => Promise<readonly string[]>;
}

const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 5_000;

const changeSchema: z.ZodType<Change> = z.object({ id: z.number(), runId: z.string() });

/** The events of one connection, until it ends, breaks, or nothing has come for too long. */
async function* readConnection(response: Response, { abort, silenceMs }: { readonly abort: () => void; readonly silenceMs: number }) {
  const parse = createEventStreamParser();
  const decoder = new TextDecoder();
  let silence = setTimeout(abort, silenceMs);
  try {
    for await (const bytes of response.body ?? []) {
      clearTimeout(silence);
      silence = setTimeout(abort, silenceMs);
      yield* parse(decoder.decode(bytes, { stream: true }));
    }
  } finally {
    clearTimeout(silence);
    // Whoever stops reading in the middle also ends the connection.
    abort();
  }
}

const parseChange = (data: string): Change => {
  try {
    return changeSchema.parse(JSON.parse(data));
  } catch {
    throw unreadable('/api/changes', 'an event that is no change', 'stop');
  }
};

/** A stream whose events never end would be no better the next time. */
const isWorthRetrying = (thrown: unknown): boolean =>
  isPluginError(thrown) ? thrown.recovery === 'retry' : !(thrown instanceof RangeError);

/**
 * Changes over server-sent events, over any number of connections. The first connection must be had; a later one is tried for again with
 * growing delays. Throws what the server said when it refuses, `SERVER_UNREACHABLE` when it stays away too long.
 */
export async function* followChanges(options: Parameters<Api['follow']>[0], ports: FollowPorts): AsyncGenerator<Change> {
  const { runId, signal } = options;
  const given = options.after === undefined ? undefined : String(options.after);
  let lastEventId = given;
  let lastId = options.after ?? 0;
  let isFirst = true;
  let failingForMs = 0;
  let delayMs = FIRST_DELAY_MS;

  const lookAgain = async (): Promise<readonly Change[]> =>
    (runId === undefined ? await ports.listRunIds() : [runId]).map((each) => ({ id: lastId, runId: each }));

  const take = async (event: StreamEvent | SignOfLife): Promise<readonly Change[]> => {
    if (event.type === 'alive') return [];
    if (event.event === 'reset') {
      lastEventId = undefined;
      return lookAgain();
    }
    const change = parseChange(event.data);
    lastEventId = event.id ?? lastEventId;
    lastId = change.id;
    return [change];
  };

  while (!signal.aborted) {
    const connection = new AbortController();
    const abort = (): void => connection.abort();
    signal.addEventListener('abort', abort, { once: true });
    // The number that the caller gave was one of the first connection's process, and this may be another.
    if (!isFirst && lastEventId === given) lastEventId = undefined;
    const missed = !isFirst && lastEventId === undefined;
    try {
      const response = await ports.open('/api/changes', {
        query: { runId },
        headers: lastEventId === undefined ? {} : { 'last-event-id': lastEventId },
        signal: connection.signal,
      });
      isFirst = false;
      failingForMs = 0;
      delayMs = FIRST_DELAY_MS;
      if (missed) yield* await lookAgain();
      for await (const event of readConnection(response, { abort, silenceMs: ports.silenceMs })) yield* await take(event);
    } catch (error) {
      if (signal.aborted) return;
      if (isFirst || failingForMs >= ports.reconnectForMs || !isWorthRetrying(error)) throw error;
    } finally {
      signal.removeEventListener('abort', abort);
      connection.abort();
    }
    failingForMs += delayMs;
    await delay(delayMs, undefined, { signal }).catch(() => undefined);
    delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
  }
}
