import type { FastifyRequest } from 'fastify';
import { HttpError } from './http-error.js';
import type { RefusalLog } from './refusal-log.js';
import { addressOf } from './remote-address.js';
import type { Actor, ServedRuntime } from './served-runtime.js';

/** Source: RFC 6750, section 2.1; the length keeps a hash cheap. */
const BEARER = /^Bearer +([A-Za-z0-9._~+/=-]{1,512})$/i;

/** Whoever reads without a token. */
export const readerOf = (request: FastifyRequest): Actor => ({ name: 'anonymous', origin: addressOf(request) });

/**
 * The actor that a request's token stands for. Throws `TOKEN_MISSING` or `TOKEN_WRONG` (401), and notes it as refused.
 */
export const authenticate = async (
  request: FastifyRequest,
  { runtime, refusals }: { readonly runtime: Pick<ServedRuntime, 'checkToken'>; readonly refusals: RefusalLog },
): Promise<Actor> => {
  const { authorization } = request.headers;
  const token = authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
  const known = token === undefined ? undefined : await runtime.checkToken(token);
  if (known !== undefined) return { name: `token:${known.name}`, origin: addressOf(request) };
  const error =
    authorization === undefined
      ? new HttpError({
          status: 401,
          code: 'TOKEN_MISSING',
          message: 'This call changes state and needs a token',
          hint: 'Send "Authorization: Bearer <token>" with the token that pipit showed at its first start.',
          headers: { 'www-authenticate': 'Bearer realm="pipit"' },
        })
      : new HttpError({
          status: 401,
          code: 'TOKEN_WRONG',
          message: 'The token is not a valid one',
          hint: 'Send "Authorization: Bearer <token>" with the token that pipit showed at its first start.',
          headers: { 'www-authenticate': 'Bearer realm="pipit", error="invalid_token"' },
        });
  await refusals.add({ instance: 'api', remoteAddress: addressOf(request), code: error.code, message: error.message });
  throw error;
};
