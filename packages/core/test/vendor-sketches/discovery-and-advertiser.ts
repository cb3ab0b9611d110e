import {
  type Advertisement,
  type Advertiser,
  type Call,
  type Discovery,
  type Host,
  type HostQuery,
  parseHostAddress,
  type RingRef,
  ringTag,
} from '@pipit/core';

type NoOptions = Readonly<Record<string, never>>;

/** A held question has to be answered before the deadline, at which the signal is aborted. */
const MARGIN_MS = 2_000;
const holdMs = ({ deadline, clock }: Call): number => Math.max(0, deadline.getTime() - clock.now().getTime() - MARGIN_MS);

const keyOf = ({ app, role, ring }: RingRef): string => `pipit/${app}/${role}/${ring}`;

/** Consul: blocking queries by index, check-and-set in a transaction. */
interface ConsulServiceEntry {
  readonly Node: {
    readonly ID: string;
    readonly Node: string;
    readonly Address: string;
    readonly Meta: Readonly<Record<string, string>> | null;
  };
  readonly Service: { readonly ID: string; readonly Address: string; readonly Tags: readonly string[] };
  readonly Checks: readonly { readonly Name: string; readonly Status: 'passing' | 'warning' | 'critical'; readonly Output: string }[];
}
interface ConsulClient {
  /** GET /v1/health/service/{name}?tag=&index=&wait=&consistent: X-Consul-Index beside the body. */
  healthService(options: {
    service: string;
    tag?: string;
    index?: string;
    wait: string;
    consistent: true;
    signal: AbortSignal;
  }): Promise<{ readonly index: string; readonly entries: readonly ConsulServiceEntry[] }>;
  /** GET /v1/kv/{key}?index=&wait=&consistent; nothing for a missing key. */
  kvGet(options: {
    key: string;
    index?: string;
    wait: string;
    consistent: true;
    signal: AbortSignal;
  }): Promise<{ readonly index: string; readonly entry?: { readonly ModifyIndex: number; readonly Value: string } }>;
  /** PUT /v1/txn: a 409 gives `false`. */
  transaction(
    operations: readonly { KV: { Verb: 'set' | 'cas'; Key: string; Value: string; Index?: number } }[],
    options: { signal: AbortSignal },
  ): Promise<boolean>;
}

const hostOf = ({ Node, Service, Checks }: ConsulServiceEntry): Host => {
  const failing = Checks.find((check) => check.Status === 'critical');
  return {
    id: Node.ID,
    address: parseHostAddress(Service.Address === '' ? Node.Address : Service.Address),
    available: failing === undefined,
    ...(failing === undefined ? {} : { reason: `${failing.Name}: ${failing.Output}` }),
    attributes: { ...Node.Meta, node: Node.Node },
  };
};

const serviceOf = (target: HostQuery<NoOptions>['target']): { service: string; tag?: string } =>
  'service' in target ? target : { service: 'pipit', tag: ringTag(target) };

export const createConsul = (
  client: ConsulClient,
): { readonly discovery: Discovery<NoOptions>; readonly advertiser: Advertiser<NoOptions> } => ({
  discovery: {
    findHosts: async ({ target, after }, call) => {
      const held = after === undefined ? {} : { index: after };
      const { index, entries } = await client.healthService({
        ...serviceOf(target),
        ...held,
        wait: `${holdMs(call)}ms`,
        consistent: true,
        signal: call.signal,
      });
      // The index goes back to small numbers when Consul is restored: then begin anew.
      return { hosts: entries.map(hostOf), ...(Number(index) < Number(after ?? 0) ? {} : { cursor: index }) };
    },
  },
  advertiser: {
    // The cursor holds what to wait for and what to compare with: they differ while there is no key.
    read: async ({ ring, after }, call) => {
      const held = after === undefined ? {} : { index: after.split('/')[0] ?? '0' };
      const { index, entry } = await client.kvGet({
        key: `${keyOf(ring)}/document`,
        ...held,
        wait: `${holdMs(call)}ms`,
        consistent: true,
        signal: call.signal,
      });
      if (entry === undefined) return { cursor: `${index}/0` };
      const current = JSON.parse(Buffer.from(entry.Value, 'base64').toString('utf8')) as Advertisement; // written below; the real plugin validates it
      return { current, cursor: `${index}/${entry.ModifyIndex}` };
    },
    write: async ({ ring, next, expected }, { signal }) => {
      const document = {
        Verb: 'cas',
        Key: `${keyOf(ring)}/document`,
        Value: btoa(JSON.stringify(next)),
        Index: Number(expected.split('/')[1]),
      } as const;
      const version = { Verb: 'set', Key: `${keyOf(ring)}/version`, Value: btoa(next.version) } as const;
      return (await client.transaction([{ KV: document }, { KV: version }], { signal })) ? 'written' : 'conflict';
    },
  },
});

/** etcd: ranges and watches by revision, a transaction that compares. */
interface EtcdClient {
  range(options: { key: string; rangeEnd?: string; signal: AbortSignal }): Promise<{
    readonly revision: string;
    readonly kvs: readonly { readonly key: string; readonly value: string; readonly modRevision: string }[];
  }>;
  /** Ends at the first event at or after the revision, or when the signal is aborted. */
  watchOnce(options: { key: string; rangeEnd?: string; startRevision: string; signal: AbortSignal }): Promise<void>;
  txn(options: {
    compare: readonly { key: string; target: 'MOD'; result: 'EQUAL'; modRevision: string }[];
    success: readonly { requestPut: { key: string; value: string } }[];
    signal: AbortSignal;
  }): Promise<{ readonly succeeded: boolean }>;
}

const after1 = (revision: string): string => String(BigInt(revision) + 1n);
const endOf = (prefix: string): string => `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;

/** Waits for a change, but no longer than to the deadline; an ended wait is no error. */
const waitForChange = async (
  client: EtcdClient,
  range: { readonly key: string; readonly rangeEnd?: string },
  after: string,
  call: Call,
): Promise<void> => {
  const hold = AbortSignal.timeout(holdMs(call));
  await client
    .watchOnce({ ...range, startRevision: after1(after), signal: AbortSignal.any([hold, call.signal]) })
    .catch((error: unknown) => {
      if (!hold.aborted || call.signal.aborted) throw error;
    });
};

export const createEtcd = (
  client: EtcdClient,
): { readonly discovery: Discovery<{ readonly prefix: string }>; readonly advertiser: Advertiser<NoOptions> } => ({
  discovery: {
    findHosts: async ({ target, after, options }, call) => {
      const key = `${options.prefix}/${'service' in target ? target.service : ringTag(target)}/`;
      const range = { key, rangeEnd: endOf(key) };
      if (after !== undefined) await waitForChange(client, range, after, call);
      const { kvs, revision } = await client.range({ ...range, signal: call.signal });
      const hosts = kvs.map((kv): Host => {
        const { address, drained, ...attributes } = JSON.parse(kv.value) as Record<string, string>; // the real plugin validates it
        const available = drained === undefined;
        return {
          id: kv.key.slice(key.length),
          address: parseHostAddress(address ?? ''),
          available,
          ...(available ? {} : { reason: `Drained: ${drained}` }),
          attributes,
        };
      });
      return { hosts, cursor: revision };
    },
  },
  advertiser: {
    read: async ({ ring, after }, call) => {
      const key = `${keyOf(ring)}/document`;
      if (after !== undefined) await waitForChange(client, { key }, after.split('/')[0] ?? '0', call);
      const { kvs, revision } = await client.range({ key, signal: call.signal });
      const [kv] = kvs;
      if (kv === undefined) return { cursor: `${revision}/0` };
      return { current: JSON.parse(kv.value) as Advertisement, cursor: `${revision}/${kv.modRevision}` }; // written below; the real plugin validates it
    },
    write: async ({ ring, next, expected }, { signal }) => {
      const key = `${keyOf(ring)}/document`;
      const { succeeded } = await client.txn({
        compare: [{ key, target: 'MOD', result: 'EQUAL', modRevision: expected.split('/')[1] ?? '0' }],
        success: [
          { requestPut: { key, value: JSON.stringify(next) } },
          { requestPut: { key: `${keyOf(ring)}/version`, value: next.version } },
        ],
        signal,
      });
      return succeeded ? 'written' : 'conflict';
    },
  },
});
