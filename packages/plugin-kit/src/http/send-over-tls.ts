import { request as requestHttps } from 'node:https';

/** How the server is trusted, and who the client is, where Node's own settings are not enough. Texts in PEM form. */
export interface HttpTls {
  /** Trusted instead of the authorities that Node knows. */
  readonly ca?: string;
  /** The client's certificate. Needs `key`. */
  readonly cert?: string;
  readonly key?: string;
  /** The name that the server's certificate must have. Default: the one in the URL. */
  readonly serverName?: string;
}

interface TlsRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly tls: HttpTls;
  readonly signal: AbortSignal;
}

interface TlsResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly body: AsyncIterable<Uint8Array>;
}

/** What `fetch` does, with certificates of one's own, which `fetch` does not take. Follows no redirect. */
export const sendOverTls = ({ method, url, headers, body, tls, signal }: TlsRequest): Promise<TlsResponse> =>
  new Promise((resolve, reject) => {
    const { ca, cert, key, serverName } = tls;
    const sent = requestHttps(
      url,
      {
        method,
        headers: { ...headers, ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }) },
        signal,
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        ...(serverName === undefined ? {} : { servername: serverName }),
      },
      (response) => {
        const received = new Headers();
        for (const [name, values] of Object.entries(response.headersDistinct))
          for (const value of values ?? []) received.append(name, value);
        // A response that Node hands out has a status.
        resolve({ status: response.statusCode ?? 0, headers: received, body: response });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
