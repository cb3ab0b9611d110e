import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { HookRequest } from '@pipit/core';
import { z } from 'zod';

export const secret = 'the secret of the webhook';
export const sha = (digit: string) => digit.repeat(40);

/** The fields of a real push that matter here. */
export const push = {
  ref: 'refs/heads/main',
  before: sha('1'),
  after: sha('2'),
  repository: { id: 42, full_name: 'acme/web', clone_url: 'https://elsewhere.example/acme/web.git' },
  pusher: { name: 'ada' },
  sender: { login: 'ada', id: 7 },
};

/** Signs as GitHub does, with node:crypto and not with the library that verifies. */
export const sign = (body: Uint8Array, key = secret): string => `sha256=${createHmac('sha256', key).update(body).digest('hex')}`;

export const delivery = (body: unknown, headers: Readonly<Record<string, string>> = {}, key = secret): HookRequest => {
  const bytes = body instanceof Uint8Array ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return {
    method: 'POST',
    query: {},
    headers: {
      'content-type': 'application/json',
      'user-agent': 'GitHub-Hookshot/044aadd',
      'x-github-delivery': '72d3162e-cc78-11e3-81ab-4c9367dc0958',
      'x-github-event': 'push',
      'x-github-hook-id': '292430182',
      'x-hub-signature-256': sign(bytes, key),
      ...headers,
    },
    body: bytes,
    remoteAddress: '192.0.2.1',
  };
};

export const without = (request: HookRequest, header: string): HookRequest => ({
  ...request,
  headers: Object.fromEntries(Object.entries(request.headers).filter(([name]) => name !== header)),
});

const examplesSchema = z.array(z.object({ name: z.string(), examples: z.array(z.record(z.string(), z.unknown())) }));

/** GitHub.com and the Enterprise Servers whose deliveries are recorded in the package. */
export const RECORDED_SERVERS = ['api.github.com', 'ghes-31', 'ghes-32', 'ghes-33', 'ghes-34', 'ghes-35'] as const;

type RecordedServer = (typeof RECORDED_SERVERS)[number];

const readExamples = (server: RecordedServer) => {
  const path = createRequire(import.meta.url).resolve(`@octokit/webhooks-examples/${server}/index.json`);
  return examplesSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
};

/** Read once: they are megabytes. */
const examples = new Map(RECORDED_SERVERS.map((server) => [server, readExamples(server)]));

/** Every recorded body of one event. */
export const recorded = (server: RecordedServer, event: string) =>
  (examples.get(server) ?? []).filter(({ name }) => name === event).flatMap((each) => each.examples);

export const recordedEvents = (server: RecordedServer): readonly string[] => (examples.get(server) ?? []).map(({ name }) => name);
