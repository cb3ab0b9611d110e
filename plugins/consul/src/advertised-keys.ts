import {
  type Advertisement,
  type Cursor,
  PluginError,
  parseDigest,
  parsePackageName,
  parsePackageVersion,
  type RingRef,
} from '@pipit/core';
import { describeIssues } from '@pipit/plugin-kit';
import { z } from 'zod';
import { unknownAnswer } from './consul-failure.js';

/** The two keys of a ring. */
export interface AdvertisedKeys {
  /** Ends in `/`. */
  readonly folder: string;
  /** The version alone, for consul-template, Puppet and people. */
  readonly version: string;
  /** The whole advertisement as JSON. */
  readonly document: string;
}

/** Each key's `ModifyIndex`; 0: there is no such key. It is what check-and-set compares. */
export interface KeyIndexes {
  readonly version: number;
  readonly document: number;
}

export const advertisedKeys = (prefix: string, { app, role, ring }: RingRef): AdvertisedKeys => {
  const folder = `${prefix}/${app}/${role}/${ring}/`;
  return { folder, version: `${folder}version`, document: `${folder}advertisement` };
};

/** One text for holding and for check-and-set. It changes with every write, and when the data is lost. */
export const renderCursor = ({ version, document }: KeyIndexes): Cursor => `${version}-${document}`;

/** @returns undefined for a text that is no cursor of this plugin, which then conflicts */
export const parseCursor = (cursor: Cursor): KeyIndexes | undefined => {
  const [, version, document] = /^(\d{1,15})-(\d{1,15})$/.exec(cursor) ?? [];
  return version === undefined || document === undefined ? undefined : { version: Number(version), document: Number(document) };
};

const parsed = <T>(parse: (text: string) => T) =>
  z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (thrown) {
      context.addIssue({ code: 'custom', message: thrown instanceof Error ? thrown.message : String(thrown) });
      return z.NEVER;
    }
  });

/** Loose: what a later core adds (who is admitted so far) is kept. */
const documentSchema = z.looseObject({
  version: parsed(parsePackageVersion),
  sequence: z.int().nonnegative(),
  artifacts: z.array(
    z.object({
      format: z.enum(['deb', 'rpm', 'oci']),
      name: parsed(parsePackageName),
      version: parsed(parsePackageVersion),
      architecture: z.string(),
      digest: parsed(parseDigest),
    }),
  ),
});

/** The largest value that Consul keeps; its servers may be told to keep more. Source: `kv_max_value_size`. */
const MAX_DOCUMENT_LENGTH = 512 * 1024;

const parseDocument = (text: string, { document, folder }: AdvertisedKeys): Advertisement => {
  try {
    if (text.length > MAX_DOCUMENT_LENGTH) throw new RangeError(`it has more than ${MAX_DOCUMENT_LENGTH} characters`);
    return documentSchema.parse(JSON.parse(text));
  } catch (thrown) {
    throw new PluginError({
      code: 'CONSUL_ADVERTISEMENT_INVALID',
      message: `The key ${document} is not an advertisement: ${thrown instanceof z.ZodError ? describeIssues(thrown) : String(thrown)}`,
      hint: `Somebody edited it. Remove both keys (consul kv delete -recurse ${folder}): pipit advertises again at the next rollout.`,
      recovery: 'stop',
      cause: thrown,
    });
  }
};

const pairsSchema = z.array(z.object({ Key: z.string(), Value: z.string().nullable(), ModifyIndex: z.int().positive() }));

/**
 * What a ring's folder of keys says.
 *
 * @param answer of `/v1/kv/<folder>?recurse`; undefined where there is no such key
 * @throws PluginError `CONSUL_ADVERTISEMENT_INVALID`, `CONSUL_VERSION_EDITED`, `CONSUL_ANSWER_UNKNOWN` (stop)
 */
export const readAdvertised = (
  answer: unknown,
  keys: AdvertisedKeys,
): { readonly current?: Advertisement; readonly indexes: KeyIndexes } => {
  const pairs = pairsSchema.safeParse(answer ?? []);
  if (!pairs.success) throw unknownAnswer(keys.folder, describeIssues(pairs.error), pairs.error);
  const find = (wanted: string) => pairs.data.find(({ Key }) => Key === wanted);
  const textOf = (pair: { readonly Value: string | null } | undefined) => Buffer.from(pair?.Value ?? '', 'base64').toString('utf8');
  const version = find(keys.version);
  const document = find(keys.document);
  const indexes = { version: version?.ModifyIndex ?? 0, document: document?.ModifyIndex ?? 0 };
  // A version alone was there before pipit: it is replaced by the first write.
  if (document === undefined) return { indexes };
  const current = parseDocument(textOf(document), keys);
  const plain = version === undefined ? undefined : textOf(version).trim();
  if (plain !== current.version)
    throw new PluginError({
      code: 'CONSUL_VERSION_EDITED',
      message: `The key ${keys.version} says ${plain === undefined ? 'nothing' : JSON.stringify(plain.slice(0, 100))}, but ${current.version} was advertised`,
      hint: `Somebody else wrote or removed it. Put it back: consul kv put ${keys.version} '${current.version}'`,
      recovery: 'stop',
    });
  return { current, indexes };
};
