import { type Advertiser, type Call, type Cursor, PluginError, type RingRef } from '@pipit/core';
import { describeIssues } from '@pipit/plugin-kit';
import { z } from 'zod';
import { type AdvertisedKeys, advertisedKeys, type KeyIndexes, parseCursor, readAdvertised, renderCursor } from './advertised-keys.js';
import type { ConsulConfig } from './config.js';
import type { ConsulClient } from './consul-client.js';
import { accessRefused, unknownAnswer } from './consul-failure.js';
import { holdUntilChanged, type Looked } from './hold-until-changed.js';
import { plainText } from './plain-text.js';

export interface ConsulAdvertiserOptions {
  readonly client: ConsulClient;
  readonly config: Pick<ConsulConfig, 'datacenters' | 'prefix'>;
}

type Reading = Awaited<ReturnType<Advertiser<unknown>['read']>>;

/** The path of a key, or of a folder of keys. */
export const keyPath = (key: string): string => `/v1/kv/${key.split('/').map(encodeURIComponent).join('/')}`;

const refusedSchema = z.object({ Errors: z.array(z.object({ OpIndex: z.int(), What: z.string() })).min(1) });

/** Consul answers a transaction that it did not do with 409, whatever the reason was. */
const judgeRefused = (answer: unknown, keys: AdvertisedKeys): 'conflict' => {
  const parsed = refusedSchema.safeParse(answer);
  if (!parsed.success) throw unknownAnswer('PUT /v1/txn', describeIssues(parsed.error), parsed.error);
  const said = parsed.data.Errors.map(({ What }) => What);
  if (said.every((what) => /index is stale/i.test(what))) return 'conflict';
  const what = `Write of ${keys.folder}`;
  if (said.some((text) => /Permission denied/i.test(text))) throw accessRefused(what, said.join('; '));
  throw new PluginError({
    code: 'CONSUL_WRITE_REFUSED',
    message: `${what}: ${plainText(said.join('; '))}`,
    hint: 'Nothing was written. Look at what Consul says.',
    recovery: 'stop',
  });
};

const transaction = (keys: AdvertisedKeys, values: { readonly version: string; readonly document: string }, indexes: KeyIndexes): string =>
  JSON.stringify(
    (['version', 'document'] as const).map((which) => ({
      KV: { Verb: 'cas', Key: keys[which], Value: Buffer.from(values[which]).toString('base64'), Index: indexes[which] },
    })),
  );

/** Advertised versions in the KV store of one data centre: a plain version and the document, written in one transaction. */
export const createConsulAdvertiser = <Options>({ client, config }: ConsulAdvertiserOptions): Advertiser<Options> => {
  const datacenter = config.datacenters?.[0];

  const look = async (ring: RingRef, { signal }: Call): Promise<Looked<Reading & { readonly cursor: Cursor }>> => {
    const keys = advertisedKeys(config.prefix, ring);
    const question = { path: keyPath(keys.folder), query: { recurse: '', consistent: '' }, datacenter };
    const answer = await client.ask({ ...question, signal });
    const { current, indexes } = readAdvertised(answer.status === 404 ? undefined : answer.json(), keys);
    // A list leaves out silently what the token may not read, and then "nothing advertised" would be wrong; a single key is refused.
    for (const which of ['version', 'document'] as const)
      if (indexes[which] === 0) await client.ask({ path: keyPath(keys[which]), query: { consistent: '' }, datacenter, signal });
    return {
      answer: { ...(current === undefined ? {} : { current }), cursor: renderCursor(indexes) },
      watched: [{ question, index: answer.index }],
    };
  };

  return {
    read: ({ ring, after }, call) => holdUntilChanged({ client, look: () => look(ring, call), after, call }),

    async write({ ring, next, expected }, { signal }) {
      const indexes = parseCursor(expected);
      if (indexes === undefined) return 'conflict';
      const keys = advertisedKeys(config.prefix, ring);
      const values = { version: next.version, document: `${JSON.stringify(next, undefined, 2)}\n` };
      const answer = await client.ask({ method: 'PUT', path: '/v1/txn', datacenter, body: transaction(keys, values, indexes), signal });
      if (answer.status === 409) return judgeRefused(answer.json(), keys);
      if (answer.status !== 200) throw unknownAnswer('PUT /v1/txn', `status ${answer.status}`);
      return 'written';
    },
  };
};
