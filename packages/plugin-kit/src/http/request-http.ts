import type { Labels } from '@pipit/core';
import { abortFailure, connectionFailure, isSafeMethod, statusFailure, timeoutFailure, tooLargeFailure } from './http-failure.js';
import { type HttpTls, sendOverTls } from './send-over-tls.js';

export interface HttpRequest {
  /** Default `GET`. */
  readonly method?: string;
  readonly url: string | URL;
  readonly headers?: Labels;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
  /** Milliseconds until the whole answer is there. Default {@link DEFAULT_HTTP_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
  /** Bytes of the answer. Default {@link DEFAULT_MAX_ANSWER_BYTES}. */
  readonly maxBytes?: number;
  /** Default: safe methods follow redirects; others give the 3xx as a result, because many servers answer a done POST with one. */
  readonly redirect?: 'follow' | 'manual';
  /** Certificates for an `https:` URL, where Node's own settings are not enough. Redirects are then results. */
  readonly tls?: HttpTls;
  /** Statuses that are results here and not failures, because the server says in the body what they mean. */
  readonly answers?: readonly number[];
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** The body as UTF-8. */
  text(): string;
  /** The body as JSON: parse it with a schema. Throws a SyntaxError, and a RangeError for more than {@link MAX_ANSWER_VALUES} values. */
  json(): unknown;
}

export const DEFAULT_HTTP_TIMEOUT_MS = 30_000;
export const DEFAULT_MAX_ANSWER_BYTES = 16 * 1024 * 1024;
/** A schema makes an issue of each value that is wrong: millions of `0,` fill the memory. Commas within texts count too. */
const MAX_ANSWER_VALUES = 500_000;

const COMMA = 0x2c;

const parseJson = (bytes: Uint8Array, text: string): unknown => {
  let values = 1;
  for (let at = bytes.indexOf(COMMA); at >= 0; at = bytes.indexOf(COMMA, at + 1)) values += 1;
  if (values > MAX_ANSWER_VALUES) throw new RangeError(`It has more than ${MAX_ANSWER_VALUES} values`);
  return JSON.parse(text);
};

const readBody = async (
  response: { readonly body: AsyncIterable<Uint8Array> | null },
  maxBytes: number,
): Promise<Uint8Array | 'tooLarge'> => {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) return 'tooLarge';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

/**
 * One HTTP call, with its failures told as what may be done after them.
 *
 * @returns the answer, also a 404 and the other 4xx that are not named below
 * @throws PluginError `HTTP_UNREACHABLE` (retry), `HTTP_SERVER_BUSY`, `HTTP_SERVER_FAILED`, `HTTP_CONNECTION_LOST`, `HTTP_TIMED_OUT`, `HTTP_ABORTED`
 * (retry for safe methods, else reconcile; a 429 is always retry), `HTTP_ACCESS_REFUSED`, `HTTP_CERTIFICATE_REFUSED`, `HTTP_ANSWER_TOO_LARGE` (stop)
 */
export const requestHttp = async (request: HttpRequest): Promise<HttpAnswer> => {
  const method = (request.method ?? 'GET').toUpperCase();
  const url = new URL(request.url);
  const asked = { method, url };
  const timeoutMs = request.timeoutMs ?? DEFAULT_HTTP_TIMEOUT_MS;
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = request.signal === undefined ? timeout : AbortSignal.any([request.signal, timeout]);
  const maxBytes = request.maxBytes ?? DEFAULT_MAX_ANSWER_BYTES;
  const { headers = {}, tls } = request;
  const sentBody = request.body === undefined ? {} : { body: request.body };
  let response: { readonly status: number; readonly headers: Headers; readonly body: AsyncIterable<Uint8Array> | null };
  let body: Uint8Array | 'tooLarge';
  try {
    response =
      tls !== undefined && url.protocol === 'https:'
        ? await sendOverTls({ method, url, headers, tls, signal, ...sentBody })
        : await fetch(url, {
            method,
            headers: { ...headers },
            ...sentBody,
            redirect: request.redirect ?? (isSafeMethod(method) ? 'follow' : 'manual'),
            signal,
          });
    body = await readBody(response, maxBytes);
  } catch (thrown) {
    if (request.signal?.aborted === true) throw abortFailure(asked, request.signal.reason);
    if (timeout.aborted) throw timeoutFailure(asked, timeoutMs);
    throw connectionFailure(asked, thrown);
  }
  const failure = statusFailure(asked, response.status, response.headers);
  if (failure !== undefined && request.answers?.includes(response.status) !== true) throw failure;
  if (body === 'tooLarge') throw tooLargeFailure(asked, maxBytes);
  const bytes = body;
  const text = () => Buffer.from(bytes).toString('utf8');
  return { status: response.status, headers: response.headers, body: bytes, text, json: () => parseJson(bytes, text()) };
};
