import { request } from 'node:http';
import { TOKEN } from './fake-runtime.js';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly json: () => unknown;
}

export interface RawRequest {
  readonly method: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The admin's unless given, or unless the headers have an Authorization; null: none. */
  readonly token?: string | null;
  /** A list is sent in chunks, without a content length. */
  readonly body?: string | Uint8Array | readonly Uint8Array[];
}

/** One request with node:http: takes answers that come before the body was sent, and any method or header. */
export const rawRequest = (url: string, { method, headers = {}, body, token = TOKEN }: RawRequest): Promise<RawAnswer> =>
  new Promise((resolve, reject) => {
    const isChunked = Array.isArray(body);
    const length = body === undefined || isChunked ? {} : { 'content-length': String(Buffer.byteLength(body as string | Uint8Array)) };
    const sent = request(url, {
      method,
      agent: false,
      headers: { ...length, ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...headers },
    });
    let answered = false;
    sent.on('response', (response) => {
      answered = true;
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: () => JSON.parse(text) });
      });
    });
    sent.on('error', (error) => {
      if (!answered) reject(error);
    });
    if (isChunked) for (const piece of body as readonly Uint8Array[]) sent.write(piece);
    else if (body !== undefined) sent.write(body);
    sent.end();
  });
