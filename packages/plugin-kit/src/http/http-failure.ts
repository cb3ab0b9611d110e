import { PluginError, type Recovery } from '@pipit/core';

/** Methods that change nothing, so that asking again is harmless. Source: RFC 9110, 9.2.1. */
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);

export const isSafeMethod = (method: string): boolean => SAFE_METHODS.has(method.toUpperCase());

/** No connection came about, so nothing happened. */
const NOT_CONNECTED = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'EADDRNOTAVAIL',
]);

const isCertificateCode = (code: string): boolean =>
  code.startsWith('CERT_') ||
  code.startsWith('ERR_TLS_CERT') ||
  [
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  ].includes(code);

/** The address without what may be a secret: user, password, query. */
const shown = (url: URL): string => `${url.origin}${url.pathname}`;

const codesOf = (thrown: unknown): readonly string[] => {
  if (!(thrown instanceof Error)) return [];
  const own = 'code' in thrown && typeof thrown.code === 'string' ? [thrown.code] : [];
  // Node tries every address of a name and tells all failures together.
  const several = thrown instanceof AggregateError ? thrown.errors.flatMap(codesOf) : [];
  return [...own, ...several, ...codesOf(thrown.cause)];
};

interface Asked {
  readonly method: string;
  readonly url: URL;
}

const lostRecovery = (method: string): Recovery => (isSafeMethod(method) ? 'retry' : 'reconcile');

/** What a call that got no answer means. */
export const connectionFailure = ({ method, url }: Asked, thrown: unknown): PluginError => {
  const codes = codesOf(thrown);
  const what = `${method} ${shown(url)}`;
  const detail = codes.length > 0 ? ` (${[...new Set(codes)].join(', ')})` : '';
  if (codes.some(isCertificateCode))
    return new PluginError({
      code: 'HTTP_CERTIFICATE_REFUSED',
      message: `${what}: the server's certificate is not trusted${detail}`,
      hint: 'Give Node the issuing authority (NODE_EXTRA_CA_CERTS=/path/to/ca.pem), or renew the certificate of the server.',
      recovery: 'stop',
      cause: thrown,
    });
  if (codes.some((code) => NOT_CONNECTED.has(code)))
    return new PluginError({
      code: 'HTTP_UNREACHABLE',
      message: `${what}: no connection to ${url.host}${detail}`,
      hint: 'Look whether the server runs, and whether its name and port are reachable from this machine.',
      recovery: 'retry',
      cause: thrown,
    });
  return new PluginError({
    code: 'HTTP_CONNECTION_LOST',
    message: `${what}: the connection to ${url.host} broke before the answer was there${detail}`,
    recovery: lostRecovery(method),
    cause: thrown,
  });
};

export const timeoutFailure = ({ method, url }: Asked, timeoutMs: number): PluginError =>
  new PluginError({
    code: 'HTTP_TIMED_OUT',
    message: `${method} ${shown(url)}: no answer within ${timeoutMs} ms`,
    recovery: lostRecovery(method),
  });

export const abortFailure = ({ method, url }: Asked, reason: unknown): PluginError =>
  new PluginError({
    code: 'HTTP_ABORTED',
    message: `${method} ${shown(url)} was cancelled`,
    recovery: lostRecovery(method),
    cause: reason,
  });

export const tooLargeFailure = ({ method, url }: Asked, maxBytes: number): PluginError =>
  new PluginError({
    code: 'HTTP_ANSWER_TOO_LARGE',
    message: `${method} ${shown(url)}: the answer has more than ${maxBytes} bytes`,
    recovery: isSafeMethod(method) ? 'stop' : 'reconcile',
  });

/** The error that a status is, or undefined where the caller knows better what it means (2xx, 3xx, 404 and the rest of 4xx). */
export const statusFailure = ({ method, url }: Asked, status: number, headers: Headers): PluginError | undefined => {
  const what = `${method} ${shown(url)} answered ${status}`;
  if (status === 401 || status === 403)
    return new PluginError({
      code: 'HTTP_ACCESS_REFUSED',
      message: what,
      hint:
        status === 401
          ? 'The server does not accept the token or password: look whether it expired, and which one the config refers to.'
          : 'The server knows the account, but does not let it do this: give the account the right.',
      recovery: 'stop',
    });
  const after = headers.get('retry-after');
  const wait = after === null ? {} : { hint: `The server asks to wait: Retry-After ${after}.` };
  if (status === 429)
    // The server says that it did not do it, whatever the method.
    return new PluginError({ code: 'HTTP_SERVER_BUSY', message: what, ...wait, recovery: 'retry' });
  if (status === 502 || status === 503)
    return new PluginError({ code: 'HTTP_SERVER_BUSY', message: what, ...wait, recovery: lostRecovery(method) });
  if (status >= 500) return new PluginError({ code: 'HTTP_SERVER_FAILED', message: what, ...wait, recovery: lostRecovery(method) });
  return undefined;
};
