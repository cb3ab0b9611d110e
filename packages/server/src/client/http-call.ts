import { PluginError, type Recovery } from '@pipit/core';
import type { z } from 'zod';
import { errorBody } from '../schemas/view-schemas.js';

export interface HttpCallerOptions {
  /** Where the server is, for example `http://127.0.0.1:7480`; a path before the API's own is kept. */
  readonly url: string;
  /** Needed for everything but what the server makes public. */
  readonly token?: string;
  /** Default: Node's. */
  readonly fetch?: typeof fetch;
  /** Milliseconds for one answer; default 120,000: asking hosts how they are takes its time. */
  readonly timeoutMs?: number;
}

/** Texts and numbers by name; undefined is left out. */
type Query = object;

export interface HttpCaller {
  get<T>(path: string, query: Query, answer: z.ZodType<T>): Promise<T>;
  post<T>(path: string, body: object, answer: z.ZodType<T>): Promise<T>;
  /** Begins a stream, whose end is the signal's matter. */
  open(
    path: string,
    options: { readonly query: Query; readonly headers: Readonly<Record<string, string>>; readonly signal: AbortSignal },
  ): Promise<Response>;
}

const DEFAULT_TIMEOUT_MS = 120_000;

const queryString = (query: Query): string => {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) if (value !== undefined) given.set(key, String(value));
  return given.size === 0 ? '' : `?${given}`;
};

const unreachable = (url: string, recovery: Recovery, cause: unknown): PluginError =>
  new PluginError({
    code: 'SERVER_UNREACHABLE',
    message: `No answer from ${url}: ${reasonOf(cause)}`,
    hint: 'Look whether `pipit serve` runs there.',
    recovery,
    cause,
  });

/** fetch says "fetch failed" and keeps what happened in the cause. */
const reasonOf = (thrown: unknown): string => {
  if (!(thrown instanceof Error)) return String(thrown);
  const { cause } = thrown;
  if (cause instanceof AggregateError && cause.errors.length > 0) return reasonOf(cause.errors[0]);
  return cause instanceof Error ? reasonOf(cause) : thrown.message;
};

export const unreadable = (url: string, what: string, recovery: Recovery): PluginError =>
  new PluginError({
    code: 'SERVER_ANSWER_UNREADABLE',
    message: `The answer of ${url} is not one of pipit's: ${what}`,
    hint: 'Look whether the address is that of a pipit, with nothing in between that answers for it, and of the same version as this one.',
    recovery,
  });

/** What the server said, as the runtime would have thrown it. */
const errorOf = (url: string, status: number, text: string, isChange: boolean): PluginError => {
  const recovery: Recovery = status === 503 || status === 429 ? 'retry' : status >= 500 && isChange ? 'reconcile' : 'stop';
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  const body = errorBody.safeParse(parsed);
  return body.success ? new PluginError({ ...body.data.error, recovery }) : unreadable(url, `status ${status}`, recovery);
};

/** Calls one server. A redirect is an error: the token goes to nobody else. */
export const createHttpCaller = ({
  url,
  token,
  fetch: fetchGiven = fetch,
  timeoutMs = DEFAULT_TIMEOUT_MS,
}: HttpCallerOptions): HttpCaller => {
  const base = url.replace(/\/+$/, '');
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };

  const call = async <T>(path: string, init: RequestInit, answer: z.ZodType<T>, recovery: Recovery): Promise<T> => {
    let response: Response;
    let text: string;
    try {
      response = await fetchGiven(`${base}${path}`, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
      text = await response.text();
    } catch (cause) {
      throw unreachable(base, recovery, cause);
    }
    if (!response.ok) throw errorOf(base, response.status, text, recovery === 'reconcile');
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      throw unreadable(base, 'no JSON', recovery);
    }
    const checked = answer.safeParse(parsed);
    if (checked.success) return checked.data;
    const [issue] = checked.error.issues;
    throw unreadable(base, issue === undefined ? 'unexpected' : `${issue.path.join('.')}: ${issue.message}`, recovery);
  };

  return {
    get: (path, query, answer) => call(`${path}${queryString(query)}`, { headers: authorization }, answer, 'retry'),
    post: (path, body, answer) =>
      call(
        path,
        { method: 'POST', headers: { ...authorization, 'content-type': 'application/json' }, body: JSON.stringify(body) },
        answer,
        'reconcile',
      ),
    open: async (path, { query, headers, signal }) => {
      let response: Response;
      try {
        response = await fetchGiven(`${base}${path}${queryString(query)}`, {
          headers: { ...authorization, ...headers, accept: 'text/event-stream' },
          redirect: 'error',
          signal,
        });
      } catch (cause) {
        throw unreachable(base, 'retry', cause);
      }
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true;
      if (response.ok && isStream) return response;
      throw errorOf(base, response.status, await response.text(), false);
    },
  };
};
