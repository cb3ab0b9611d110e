import { isPluginError, PluginError, type Secret } from '@pipit/core';
import { type HttpAnswer, requestHttp } from '@pipit/plugin-kit';
import type { z } from 'zod';
import { crumb } from './jenkins-answers.js';

/** More than any answer that a `tree` keeps small; what a job printed between two looks may be long. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export interface JenkinsAccount {
  /** With a closing slash. */
  readonly url: string;
  readonly user: string;
  /** API token or password. */
  readonly secret: Secret;
}

/** The narrow way to Jenkins. Addresses are relative to its own. */
export interface JenkinsClient {
  /** What `api/json` of an address says, as far as `tree` asks for it; undefined for 404. */
  read<T>(address: string, tree: string, schema: z.ZodType<T>, signal: AbortSignal): Promise<T | undefined>;
  /** Any status but those that `requestHttp` throws. Brings a crumb along where the server wants one. */
  post(address: string, form: URLSearchParams | undefined, signal: AbortSignal): Promise<HttpAnswer>;
  get(address: string, signal: AbortSignal, method?: 'GET' | 'HEAD'): Promise<HttpAnswer>;
  /** The bytes of an address as they come. */
  stream(address: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}

const unreadable = (address: string, what: string, cause?: unknown): PluginError =>
  new PluginError({
    code: 'JENKINS_ANSWER_UNREADABLE',
    message: `Jenkins' answer at ${address} ${what}`,
    hint: 'Look whether `url` is the address of Jenkins itself, and not of a login page or proxy in front of it.',
    recovery: 'retry',
    cause,
  });

/** The crumb's header, and the session that newer servers bind it to. */
const crumbHeaders = (answer: HttpAnswer): Readonly<Record<string, string>> => {
  const { crumb: value, crumbRequestField } = crumb.parse(answer.json());
  const cookie = answer.headers
    .getSetCookie()
    .map((line) => line.split(';')[0] ?? '')
    .join('; ');
  return { [crumbRequestField]: value, ...(cookie === '' ? {} : { cookie }) };
};

const isForbidden = (thrown: unknown): boolean =>
  isPluginError(thrown) && thrown.code === 'HTTP_ACCESS_REFUSED' && thrown.message.endsWith(' 403');

/**
 * Errors: those of `requestHttp`, and `JENKINS_ANSWER_UNREADABLE` (retry).
 */
export const createJenkinsClient = ({ url, user, secret }: JenkinsAccount): JenkinsClient => {
  const headers = () => ({ authorization: `Basic ${Buffer.from(`${user}:${secret.reveal()}`).toString('base64')}` });
  const get: JenkinsClient['get'] = (address, signal, method = 'GET') =>
    requestHttp({ url: new URL(address, url), method, headers: headers(), signal, maxBytes: MAX_ANSWER_BYTES });
  const submit = (address: string, form: URLSearchParams | undefined, signal: AbortSignal, more: Readonly<Record<string, string>>) =>
    requestHttp({
      url: new URL(address, url),
      method: 'POST',
      headers: { ...headers(), 'content-type': 'application/x-www-form-urlencoded', ...more },
      body: form?.toString() ?? '',
      signal,
      maxBytes: MAX_ANSWER_BYTES,
    });

  return {
    get,

    async read(address, tree, schema, signal) {
      const answer = await get(`${address}api/json?tree=${encodeURIComponent(tree)}`, signal);
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw unreadable(address, `has the status ${answer.status}`);
      let value: unknown;
      try {
        value = answer.json();
      } catch (thrown) {
        throw unreadable(address, 'is not JSON', thrown);
      }
      const parsed = schema.safeParse(value);
      if (!parsed.success) throw unreadable(address, `lacks what is needed: ${parsed.error.issues[0]?.path.join('.')}`, parsed.error);
      return parsed.data;
    },

    async post(address, form, signal) {
      try {
        return await submit(address, form, signal, {});
      } catch (refused) {
        // Nothing happened at a 403. Old servers want a crumb of everybody, newer ones of whoever comes with a password.
        if (!isForbidden(refused)) throw refused;
        const issued = await get('crumbIssuer/api/json', signal);
        if (issued.status !== 200) throw refused;
        return submit(address, form, signal, crumbHeaders(issued));
      }
    },

    async stream(address, signal) {
      const at = new URL(address, url);
      const response = await fetch(at, { headers: headers(), signal }).catch((cause: unknown) => {
        throw unreadable(address, 'did not come', cause);
      });
      if (response.status !== 200 || response.body === null) {
        await response.body?.cancel();
        throw unreadable(address, `has the status ${response.status}`);
      }
      return response.body;
    },
  };
};
