import { createHash, timingSafeEqual } from 'node:crypto';
import type { HookRequest, Inbound, Received, Secret } from '@pipit/core';
import { z } from 'zod';
import type { ParameterNames } from './config.js';

/** The header that brings the secret; `authorization: Bearer`, the query's and the form's `secret` do too. */
export const SECRET_HEADER = 'x-pipit-secret';
/** A callback names a build; the largest ones list artifacts. */
const MAX_BODY_BYTES = 1024 * 1024;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** It takes equally long for every wrong one, and does not tell which of two secrets matched. */
const isSecret = (given: string, secrets: readonly Secret[]): boolean =>
  secrets.map((secret) => timingSafeEqual(digest(given), digest(secret.reveal()))).includes(true);

const text = z.string().min(1).max(500);

/** What a job's last `curl` sends, as a form or as JSON. */
const plain = z.object({ key: text.optional(), commit: text.optional(), secret: z.string().optional() });

/** Source: Notification plugin for Jenkins, com.tikal.hudson.plugins.notification.model.JobState, 1.17. */
const notification = z.object({
  build: z.object({
    phase: z.string(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    scm: z.object({ commit: z.string().nullish() }).nullish(),
  }),
});

type Hint = { readonly key?: string | undefined; readonly commit?: string | undefined };

const accept = ({ key, commit }: Hint): Received => {
  const inbound: Inbound = { type: 'build', ...(key === undefined ? {} : { key }), ...(commit === undefined ? {} : { commit }) };
  return { accepted: key === undefined && commit === undefined ? [] : [inbound] };
};

const readNotification = ({ build }: z.output<typeof notification>, names: ParameterNames): Received => {
  // STARTED bears the status of the build before, COMPLETED comes before the artifacts are there.
  if (build.phase !== 'FINALIZED') return { accepted: [] };
  const parameter = (name: string): string | undefined => text.safeParse(build.parameters?.[name]).data;
  return accept({ key: parameter(names.key), commit: text.safeParse(build.scm?.commit).data ?? parameter(names.commit) });
};

const broken: Received = {
  refused: 'Expected a form or JSON with `key` or `commit`, or the JSON of the Notification plugin',
  code: 'JENKINS_CALLBACK_BROKEN',
  status: 400,
};

const parseBody = ({ headers, body }: HookRequest): unknown => {
  const content = Buffer.from(body).toString('utf8');
  // The Notification plugin calls its JSON whatever its version likes, so the body decides.
  if (/^\s*\{/.test(content)) {
    try {
      return JSON.parse(content);
    } catch {
      return undefined;
    }
  }
  return (headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded') || content === ''
    ? Object.fromEntries(new URLSearchParams(content))
    : undefined;
};

export interface CallbackOptions {
  readonly secrets: readonly Secret[];
  readonly names: ParameterNames;
}

/** Reads what Jenkins tells. It is a hint only: the build is then looked at through the API. */
export const receiveCallback = (request: HookRequest, { secrets, names }: CallbackOptions): Received => {
  if (secrets.length === 0)
    return { refused: 'This instance takes no callbacks: its config has no `callbackSecret`', code: 'JENKINS_CALLBACK_OFF', status: 403 };
  if (request.body.byteLength > MAX_BODY_BYTES)
    return { refused: `More than ${MAX_BODY_BYTES} bytes`, code: 'JENKINS_CALLBACK_TOO_LARGE', status: 413 };
  const value = parseBody(request);
  const form = plain.safeParse(value);
  const given =
    request.headers[SECRET_HEADER] ??
    /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ??
    request.query.secret ??
    (form.success ? form.data.secret : undefined);
  if (given === undefined || !isSecret(given, secrets))
    return { refused: 'The secret is missing or wrong', code: 'JENKINS_CALLBACK_SECRET_WRONG', status: 401 };
  if (request.method !== 'POST') return { refused: 'Expected POST', code: 'JENKINS_CALLBACK_BROKEN', status: 400 };
  const told = notification.safeParse(value);
  if (told.success) return readNotification(told.data, names);
  const hint = form.success && (form.data.key !== undefined || form.data.commit !== undefined);
  return hint ? accept(form.data) : broken;
};
