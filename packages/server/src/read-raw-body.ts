import type { Readable } from 'node:stream';
import { HttpError } from './http-error.js';

/** GitHub sends no payload above 25 MB; the rest is room for what counts differently. */
export const MAX_HOOK_BYTES = 25 * 1024 * 1024 + 64 * 1024;
/** Above this the rest of a body that is too large is not even read to its end; up to it the sender gets to read why. */
const MAX_DISCARDED_BYTES = 2 * MAX_HOOK_BYTES;
/** Over all deliveries that are being received or worked on. */
const MAX_HELD_BYTES = 256 * 1024 * 1024;

/** Memory that bodies may take, over all requests: anybody may send to a hook. */
export interface BodyBudget {
  /** False, and nothing is taken, when that much is not left. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

export const createBodyBudget = (maxBytes: number = MAX_HELD_BYTES): BodyBudget => {
  let held = 0;
  return {
    take: (bytes) => {
      if (held + bytes > maxBytes) return false;
      held += bytes;
      return true;
    },
    give: (bytes) => {
      held -= bytes;
    },
  };
};

const tooLarge = (): HttpError =>
  new HttpError({
    status: 413,
    code: 'HOOK_BODY_TOO_LARGE',
    message: 'The delivery is larger than 25 MiB',
    hint: 'Make the payload smaller; GitHub itself sends no more than 25 MB.',
  });

const busy = (): HttpError =>
  new HttpError({
    status: 503,
    code: 'HOOK_BODIES_BUSY',
    message: 'Too many large deliveries are being received at once',
    hint: 'Send it again in a moment.',
    headers: { 'retry-after': '1' },
  });

/**
 * Reads a delivery's exact bytes. What it took from the budget is the body's length, to be given back when the request is answered;
 * it has given everything back itself when it throws.
 */
export const readRawBody = async (payload: Readable, declaredBytes: number, budget: BodyBudget): Promise<Buffer> => {
  if (declaredBytes > MAX_DISCARDED_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let taken = 0;
  let received = 0;
  let error: HttpError | undefined = declaredBytes > MAX_HOOK_BYTES ? tooLarge() : undefined;
  const discard = (reason: HttpError): void => {
    error = reason;
    budget.give(taken);
    taken = 0;
    chunks.length = 0;
  };
  try {
    // Not destroyed on leaving: the answer goes out over the same socket.
    for await (const chunk of payload.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      received += chunk.length;
      if (received > MAX_DISCARDED_BYTES) break;
      if (error === undefined && received > MAX_HOOK_BYTES) discard(tooLarge());
      if (error !== undefined) continue;
      if (!budget.take(chunk.length)) {
        discard(busy());
        continue;
      }
      taken += chunk.length;
      chunks.push(chunk);
    }
  } catch (cause) {
    // The sender went away in the middle.
    budget.give(taken);
    throw new HttpError({ status: 400, code: 'REQUEST_MALFORMED', message: 'The body ended too early', cause });
  }
  if (error !== undefined) throw error;
  return Buffer.concat(chunks, received);
};
