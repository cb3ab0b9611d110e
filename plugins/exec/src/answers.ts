import {
  createSecret,
  parseAppName,
  parseCommitSha,
  parseDigest,
  parseHostAddress,
  parsePackageName,
  parsePackageVersion,
  parseRefName,
  parseRingName,
  parseRoleName,
} from '@pipit/core';
import { z } from 'zod';

/** A string that core's parser accepts; the parser's own words are the issue. */
const parsed = (parse: (text: string) => string) =>
  z.string().superRefine((text, context) => {
    try {
      parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
    }
  });

const text = z.string().min(1);
const labels = z.record(z.string(), z.string());
const time = z.iso.datetime();
const handle = z.string().min(1).max(2_000);
const cursor = z.string().max(100_000);
const format = z.enum(['deb', 'rpm', 'oci']);
const digest = parsed(parseDigest);
const version = parsed(parsePackageVersion);
const architecture = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_/-]*$/, 'expected an architecture such as amd64 or all');

/** Within the program's folder: no way out. */
const path = z.string().regex(/^(?!\/)(?!.*(?:^|\/)\.\.(?:\/|$))[^\0]+$/, "expected a path relative to the program's folder, without ..");

const artifactId = z.strictObject({ format, name: parsed(parsePackageName), version, architecture, digest });

const repository = z.strictObject({ id: text, name: text, url: text });
const change = z.strictObject({
  key: z.string().min(1).max(200),
  repository,
  ref: parsed(parseRefName),
  sha: parsed(parseCommitSha).nullable(),
  before: parsed(parseCommitSha).optional(),
  author: z.string().optional(),
});
const ring = z.strictObject({ app: parsed(parseAppName), role: parsed(parseRoleName), ring: parsed(parseRingName) });

const password = z.strictObject({ username: z.string(), password: text.transform(createSecret) });
const privateKey = z.strictObject({ privateKey: text.transform(createSecret), knownHosts: text });
const credentials = z.union([password, privateKey]);

const source = { uris: z.array(text).min(1), suite: text, components: z.array(text), keys: z.array(text) };
const installSource = z.discriminatedUnion('format', [
  z.strictObject({ format: z.literal('deb'), ...source, credentials: credentials.optional() }),
  z.strictObject({ format: z.literal('rpm'), baseUrl: text, keys: z.array(text), credentials: credentials.optional() }),
  z.strictObject({ format: z.literal('oci'), image: text, credentials: credentials.optional() }),
]);

const host = z.strictObject({
  id: text,
  address: parsed(parseHostAddress),
  available: z.boolean(),
  reason: text.optional(),
  attributes: labels,
});
const hostReport = z.strictObject({
  hostId: text,
  reachable: z.boolean(),
  busy: z.boolean().optional(),
  healthy: z.boolean().optional(),
  raw: z.string().optional(),
  installed: z.strictObject({ version, digest: digest.optional(), sequence: z.int().min(0).optional() }).optional(),
  foreign: z.strictObject({ name: parsed(parsePackageName), version: text }).optional(),
  error: z.strictObject({ code: text, message: text, hint: text.optional() }).optional(),
});

const alarm = z.strictObject({ id: text, firing: z.boolean(), since: time, labels });
const inbound = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('change'), event: change }),
  z.strictObject({ type: z.literal('build'), handle: handle.optional(), key: text.optional(), commit: text.optional() }),
  z.strictObject({ type: z.literal('alarm'), alarm }),
  z.strictObject({
    type: z.literal('command'),
    command: z.strictObject({ userId: text, words: z.array(z.string()), replyTo: handle }),
  }),
  z.strictObject({ type: z.literal('host'), ring, report: hostReport }),
]);

/** What a program may answer, by what it is. Nothing beside the named fields is taken. */
export const answers = {
  handle,
  logPart: z.strictObject({ text: z.string(), cursor }),
  taskState: (result: z.ZodType) =>
    z.discriminatedUnion('state', [
      z.strictObject({ state: z.literal('running'), handle: handle.optional(), partial: result.optional(), url: z.url().optional() }),
      z.strictObject({ state: z.literal('ended'), result, url: z.url().optional() }),
      z.strictObject({ state: z.literal('lost'), reason: text, url: z.url().optional() }),
    ]),
  buildResult: z.discriminatedUnion('outcome', [
    z.strictObject({ outcome: z.literal('passed'), raw: z.string(), commit: parsed(parseCommitSha) }),
    z.strictObject({ outcome: z.literal('failed'), raw: z.string(), reason: text }),
    z.strictObject({ outcome: z.literal('cancelled'), raw: z.string(), reason: text }),
  ]),
  /** `path` within the package's root, `file` within the program's folder. */
  collected: z.array(z.strictObject({ path, file: path })),
  packages: z
    .array(
      z.union([
        z.strictObject({ format: z.enum(['deb', 'rpm']), architecture, file: path }),
        z.strictObject({ format: z.literal('oci'), architecture, reference: text, digest }),
      ]),
    )
    .min(1),
  artifactIds: z.array(artifactId),
  installSources: z.array(installSource),
  foundHosts: z.strictObject({ hosts: z.array(host), cursor: cursor.optional() }),
  advertised: z.strictObject({
    current: z.strictObject({ version, sequence: z.int().min(0), artifacts: z.array(artifactId) }).optional(),
    cursor,
  }),
  hostReports: z.array(hostReport),
  judgement: z.strictObject({
    verdict: z.enum(['pass', 'fail', 'pending']),
    reason: text,
    measurements: z.array(z.strictObject({ metric: text, value: z.number().nullable(), threshold: z.number().optional() })),
  }),
  pushes: z.strictObject({ events: z.array(change), cursor }),
  repository,
  credentials,
  received: z.union([
    z.strictObject({
      accepted: z.array(inbound),
      answer: z.strictObject({ status: z.int().min(200).max(299), body: z.string() }).optional(),
    }),
    z.strictObject({
      refused: text,
      code: z.string().regex(/^[A-Z][A-Z0-9_]*$/, 'expected upper-case words'),
      status: z.union([400, 401, 403, 404, 413, 415].map((status) => z.literal(status))),
    }),
  ]),
  findings: z.array(z.strictObject({ name: text, ok: z.boolean(), detail: z.string().optional(), hint: z.string().optional() })),
} as const;

export type Collected = z.output<typeof answers.collected>;
export type Packages = z.output<typeof answers.packages>;
