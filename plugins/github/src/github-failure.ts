import { PluginError, type Recovery } from '@pipit/core';
import { abortFailure, connectionFailure, timeoutFailure } from '@pipit/plugin-kit';

/** What was asked of the API. `url` holds no credential. */
export interface Asked {
  readonly method: string;
  readonly url: URL;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly message: string;
}

const MAX_MESSAGE_LENGTH = 300;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;

/** What Octokit throws, read by its shape: it may come from another copy of the library. Undefined where GitHub gave no answer. */
const answerOf = (thrown: unknown): Answer | undefined => {
  if (!isRecord(thrown) || typeof thrown.status !== 'number' || !isRecord(thrown.response)) return undefined;
  const headers = isRecord(thrown.response.headers) ? thrown.response.headers : {};
  const data = thrown.response.data;
  const message = isRecord(data) && typeof data.message === 'string' ? data.message : '';
  const errors = isRecord(data) && Array.isArray(data.errors) ? `: ${JSON.stringify(data.errors)}` : '';
  return { status: thrown.status, headers, message: `${message}${errors}`.replace(/\p{C}/gu, ' ').slice(0, MAX_MESSAGE_LENGTH) };
};

const headerOf = ({ headers }: Answer, name: string): string | undefined => {
  const value = headers[name];
  return typeof value === 'string' || typeof value === 'number' ? `${value}` : undefined;
};

/** Source: GitHub, "Rate limits for the REST API": 403 or 429, with no requests left, a `retry-after`, or the words of the secondary limit. */
const isRateLimit = (answer: Answer): boolean =>
  answer.status === 429 ||
  (answer.status === 403 &&
    (headerOf(answer, 'x-ratelimit-remaining') === '0' ||
      headerOf(answer, 'retry-after') !== undefined ||
      /rate limit/i.test(answer.message)));

const rateLimitHint = (answer: Answer): string => {
  const after = headerOf(answer, 'retry-after');
  if (after !== undefined) return `GitHub asks to wait ${after} s.`;
  const seconds = Number(headerOf(answer, 'x-ratelimit-reset') ?? Number.NaN);
  if (headerOf(answer, 'x-ratelimit-remaining') === '0' && Number.isSafeInteger(seconds) && seconds < 1e11)
    return `The limit of this token is used up until ${new Date(seconds * 1_000).toISOString()}. A GitHub App has a larger one.`;
  return 'GitHub asks to wait at least a minute. Look what else uses this token.';
};

const permissionHint = (answer: Answer): string => {
  const permissions = headerOf(answer, 'x-accepted-github-permissions');
  const scopes = headerOf(answer, 'x-accepted-oauth-scopes');
  if (headerOf(answer, 'x-github-sso') !== undefined)
    return 'Authorise the token for the organisation (single sign-on), in the settings of the token.';
  if (permissions !== undefined && permissions !== '') return `Give the token or App this permission: ${permissions}.`;
  if (scopes !== undefined && scopes !== '') return `Give the token one of these scopes: ${scopes}.`;
  return 'Give the token or App the permissions that the README of the plugin lists; an App has to have them approved in the organisation.';
};

/** A method that changes nothing may always be asked again. */
const recoveryOfLost = (method: string): Recovery => (method === 'GET' || method === 'HEAD' ? 'retry' : 'reconcile');

const answerFailure = ({ method, url }: Asked, answer: Answer): PluginError => {
  const what = `${method} ${url.origin}${url.pathname} answered ${answer.status}${answer.message === '' ? '' : ` (${answer.message})`}`;
  if (isRateLimit(answer))
    return new PluginError({ code: 'GITHUB_RATE_LIMITED', message: what, hint: rateLimitHint(answer), recovery: 'retry' });
  switch (answer.status) {
    case 401:
      return new PluginError({
        code: 'GITHUB_TOKEN_REFUSED',
        message: what,
        hint: 'The token is wrong, expired or revoked: make a new one. For an App, compare its id and private key, and the clock of this machine.',
        recovery: 'stop',
      });
    case 403:
      return new PluginError({ code: 'GITHUB_PERMISSION_MISSING', message: what, hint: permissionHint(answer), recovery: 'stop' });
    case 404:
      return new PluginError({
        code: 'GITHUB_NOT_FOUND',
        message: what,
        hint: 'It does not exist, or the token may not see it: GitHub answers both alike. Compare the name, and the repositories that the token or App was given.',
        recovery: 'stop',
      });
  }
  if (answer.status >= 500)
    return new PluginError({
      code: 'GITHUB_SERVER_FAILED',
      message: what,
      hint: 'See https://www.githubstatus.com, or the health of your Enterprise Server.',
      recovery: recoveryOfLost(method),
    });
  return new PluginError({
    code: 'GITHUB_REQUEST_REFUSED',
    message: what,
    hint: 'GitHub does not take this as it is: compare the names in the config with its message.',
    recovery: 'stop',
  });
};

export interface FailureOptions {
  /** The caller's. */
  readonly signal: AbortSignal;
  readonly timeout: AbortSignal;
  readonly timeoutMs: number;
}

/**
 * What a failed call of the API means. The thrown error is not kept as the cause: it holds the request, with the token.
 *
 * @returns `GITHUB_RATE_LIMITED` (retry), `GITHUB_TOKEN_REFUSED`, `GITHUB_PERMISSION_MISSING`, `GITHUB_NOT_FOUND`, `GITHUB_REQUEST_REFUSED` (stop),
 * `GITHUB_SERVER_FAILED` and what `requestHttp` says of connections (retry for GET, else reconcile)
 */
export const githubFailure = (asked: Asked, thrown: unknown, { signal, timeout, timeoutMs }: FailureOptions): PluginError => {
  const answer = answerOf(thrown);
  if (answer !== undefined) return answerFailure(asked, answer);
  if (signal.aborted) return abortFailure(asked, signal.reason);
  if (timeout.aborted) return timeoutFailure(asked, timeoutMs);
  // Octokit wraps what fetch threw.
  return connectionFailure(asked, isRecord(thrown) && 'cause' in thrown ? thrown.cause : thrown);
};
