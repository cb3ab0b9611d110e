import { isPluginError } from '@pipit/core';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { HttpError } from './http-error.js';

/** What the body of every answer that is not a success looks like. */
export interface ErrorBody {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
}

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ErrorBody;
  /** Nobody foresaw it: to be logged with its stack. */
  readonly unexpected: boolean;
}

/** Long enough for a restart of the database, short enough for a person who waits. */
export const RETRY_AFTER_SECONDS = '5';

const CONFLICTS = /^(?:PROMOTION_|RETRY_|ROLLBACK_)|^RUN_ENDED$/;

const statusOf = (code: string, recovery: string): number => {
  if (code === 'RIGHT_MISSING') return 403;
  if (code.endsWith('_UNKNOWN')) return 404;
  if (code.startsWith('INVALID_')) return 400;
  if (CONFLICTS.test(code)) return 409;
  // Any other: `stop` cannot be done as things are; the rest may go well later (a database that restarts).
  return recovery === 'stop' ? 409 : 503;
};

const WHERE: Readonly<Record<string, string>> = { body: 'the body', querystring: 'the query', params: 'the path', headers: 'the headers' };

const invalidRequest = (issues: readonly { readonly instancePath: string; readonly message?: string }[], context: string): HttpError =>
  new HttpError({
    status: 400,
    code: 'INVALID_REQUEST',
    message: issues
      .map(({ instancePath, message = 'not valid' }) => {
        const field = instancePath.split('/').filter(Boolean).join('.');
        return `${field === '' ? '' : `${field} in `}${WHERE[context] ?? context}: ${message}`;
      })
      .join('; '),
    hint: 'See /openapi.json for what this call takes.',
  });

const hasStatus = (value: unknown): value is { readonly statusCode: number; readonly code?: unknown } =>
  typeof value === 'object' && value !== null && 'statusCode' in value && typeof value.statusCode === 'number';

/** What fastify itself refuses, in our words: its own codes are not part of our API. */
const fromFastify = ({ statusCode, code }: { readonly statusCode: number; readonly code?: unknown }): HttpError => {
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new HttpError({ status: 413, code: 'BODY_TOO_LARGE', message: 'The body is larger than this call takes' });
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new HttpError({
        status: 415,
        code: 'CONTENT_TYPE_NOT_TAKEN',
        message: 'The content type is malformed, or not one that this call takes',
        hint: 'The API takes application/json.',
      });
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      // Also of keys that would set a prototype.
      return new HttpError({ status: 400, code: 'INVALID_JSON', message: 'The body is not JSON that is taken here' });
    default:
      return new HttpError({ status: statusCode, code: 'REQUEST_MALFORMED', message: 'The request is not well-formed HTTP' });
  }
};

const asHttpError = (thrown: unknown): HttpError | undefined => {
  if (thrown instanceof HttpError) return thrown;
  if (hasZodFastifySchemaValidationErrors(thrown))
    return invalidRequest(thrown.validation, 'validationContext' in thrown ? String(thrown.validationContext) : 'the request');
  if (isPluginError(thrown)) {
    const status = statusOf(thrown.code, thrown.recovery);
    return new HttpError({
      status,
      code: thrown.code,
      message: thrown.message,
      ...(thrown.hint === undefined ? {} : { hint: thrown.hint }),
      ...(status === 503 ? { headers: { 'retry-after': RETRY_AFTER_SECONDS } } : {}),
    });
  }
  if (hasStatus(thrown) && thrown.statusCode >= 400 && thrown.statusCode < 500) return fromFastify(thrown);
  return undefined;
};

/**
 * Turns anything thrown into an answer. What was not foreseen says no more than the request's id: the log has the rest under it.
 */
export const answerError = (thrown: unknown, requestId: string): ErrorAnswer => {
  const known = asHttpError(thrown);
  const error =
    known ??
    new HttpError({
      status: 500,
      code: 'INTERNAL_ERROR',
      message: `Something broke inside pipit (request ${requestId})`,
      hint: "Look for this id in the server's log.",
    });
  return {
    status: error.status,
    headers: error.headers,
    body: { error: { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) } },
    unexpected: known === undefined,
  };
};
