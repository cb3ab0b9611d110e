import { createHash } from 'node:crypto';
import type { Clock } from '@pipit/core';
import type { FastifyRequest } from 'fastify';
import type { Access, PublicView } from './access.js';
import type { AddressList } from './address-list.js';
import { createAttemptLimit } from './attempt-limit.js';
import { HttpError } from './http-error.js';
import type { RefusalLog } from './refusal-log.js';
import { addressOf } from './remote-address.js';
import type { Caller, ServedRuntime } from './served-runtime.js';

/** Source: RFC 6750, section 2.1; the length keeps a hash cheap. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/=-]{1,512})$/i;

/** Right tokens that were shown lately; those are looked at also when their network has shown many wrong ones. */
const MAX_REMEMBERED = 1_000;

const HINT = 'Send "Authorization: Bearer <token>"; `pipit token create` on pipit\'s machine makes one.';

/** For the trail alone: the answer is the same for all three. */
const REFUSED = {
  unknown: { code: 'TOKEN_WRONG', what: 'The token is not a valid one' },
  expired: { code: 'TOKEN_EXPIRED', what: 'The token has expired' },
  revoked: { code: 'TOKEN_REVOKED', what: 'The token was revoked' },
} as const;

const tokenMissing = (): HttpError =>
  new HttpError({
    status: 401,
    code: 'TOKEN_MISSING',
    message: 'This call needs a token',
    hint: HINT,
    headers: { 'www-authenticate': 'Bearer realm="pipit"' },
  });

const tokenWrong = (): HttpError =>
  new HttpError({
    status: 401,
    code: 'TOKEN_WRONG',
    message: 'The token is not a valid one',
    hint: HINT,
    headers: { 'www-authenticate': 'Bearer realm="pipit", error="invalid_token"' },
  });

const triedTooOften = (seconds: number): HttpError =>
  new HttpError({
    status: 429,
    code: 'TOKEN_TRIED_TOO_OFTEN',
    message: 'Too many wrong tokens came from this network',
    hint: 'Correct the token that is sent, and wait for the seconds in Retry-After.',
    headers: { 'retry-after': String(seconds) },
  });

export interface Authenticator {
  /** Who calls, by the rule of the route. Throws `TOKEN_MISSING`, `TOKEN_WRONG` (401) and `TOKEN_TRIED_TOO_OFTEN` (429), and notes them as refused. */
  admit(request: FastifyRequest, access: Access): Promise<void>;
  /** Whether the token of an admitted request is still valid. */
  isStillValid(request: FastifyRequest): Promise<boolean>;
}

export interface AuthenticatorOptions {
  readonly runtime: Pick<ServedRuntime, 'checkToken'>;
  readonly refusals: RefusalLog;
  readonly clock: Clock;
  readonly publicViews: ReadonlySet<PublicView>;
  /** Who may read the metrics without a token. */
  readonly metricsReaders: AddressList;
}

const callers = new WeakMap<FastifyRequest, Caller>();

/** Who sent an admitted request. */
export const callerOf = (request: FastifyRequest): Caller => {
  const caller = callers.get(request);
  // Not reached: the server's first hook has set it, or has thrown.
  if (caller === undefined) throw new TypeError('A request came past its access rule');
  return caller;
};

const tokenOf = ({ headers: { authorization } }: FastifyRequest): string | undefined =>
  authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];

export const createAuthenticator = (options: AuthenticatorOptions): Authenticator => {
  const { runtime, refusals, clock, publicViews, metricsReaders } = options;
  const attempts = createAttemptLimit(clock);
  const remembered = new Set<string>();
  const fingerprintOf = (token: string): string => createHash('sha256').update(token).digest('base64');
  const remember = (token: string): void => {
    const fingerprint = fingerprintOf(token);
    remembered.delete(fingerprint);
    remembered.add(fingerprint);
    const [oldest] = remembered;
    if (remembered.size > MAX_REMEMBERED && oldest !== undefined) remembered.delete(oldest);
  };

  const refuse = async (request: FastifyRequest, error: HttpError, { code, what }: { readonly code: string; readonly what: string }) => {
    await refusals.add({ instance: 'api', remoteAddress: addressOf(request), code, message: what });
    return error;
  };

  const authenticate = async (request: FastifyRequest): Promise<Caller> => {
    const origin = addressOf(request);
    const wait = attempts.waitOf(origin);
    const token = tokenOf(request);
    // A network whose tries are used up gets nothing looked up, but for the tokens that were right before.
    if (wait > 0 && (token === undefined || !remembered.has(fingerprintOf(token)))) {
      const what = 'Too many wrong tokens came from this network';
      throw await refuse(request, triedTooOften(wait), { code: 'TOKEN_TRIED_TOO_OFTEN', what });
    }
    const found = token === undefined ? ({ valid: false, why: 'unknown' } as const) : await runtime.checkToken(token);
    if (found.valid) {
      if (token !== undefined) remember(token);
      return { name: found.actor, origin, preset: found.preset };
    }
    attempts.note(origin);
    const { code, what } = REFUSED[found.why];
    throw await refuse(request, tokenWrong(), { code, what: found.name === undefined ? what : `${what}: ${found.name}` });
  };

  const anonymous = (request: FastifyRequest): Caller => ({ name: 'anonymous', origin: addressOf(request), preset: 'public' });

  const mayComeWithout = (request: FastifyRequest, access: Access): boolean => {
    switch (access.by) {
      case 'hook':
      case 'probe':
        return true;
      case 'metrics':
        return metricsReaders.has(addressOf(request));
      case 'token':
        return access.publicAs !== undefined && publicViews.has(access.publicAs);
    }
  };

  return {
    admit: async (request, access) => {
      const isOpen = access.by === 'hook' || access.by === 'probe';
      const hasToken = request.headers.authorization !== undefined;
      // A hook's sender may have an Authorization of its own, which is the plugin's to look at.
      if (mayComeWithout(request, access) && (isOpen || !hasToken)) {
        callers.set(request, anonymous(request));
        return;
      }
      if (hasToken) {
        callers.set(request, await authenticate(request));
        return;
      }
      const error = tokenMissing();
      // A read without a token is no attempt at anything: browsers and scanners would fill the trail.
      if (request.method === 'GET' || request.method === 'HEAD') throw error;
      throw await refuse(request, error, { code: error.code, what: error.message });
    },
    isStillValid: async (request) => {
      const token = tokenOf(request);
      return token === undefined || (await runtime.checkToken(token)).valid;
    },
  };
};
