import { type Host, type HostAddress, type Labels, parseHostAddress } from '@pipit/core';
import { describeIssues } from '@pipit/plugin-kit';
import { z } from 'zod';
import { unknownAnswer } from './consul-failure.js';
import { plainText } from './plain-text.js';

const labels = z.record(z.string(), z.string()).nullish();

/** What `/v1/health/service/<name>` gives of one instance; Consul gives more. */
const entrySchema = z.object({
  Node: z.object({ Node: z.string().min(1), Address: z.string(), Datacenter: z.string().nullish(), Meta: labels }),
  Service: z.object({ ID: z.string(), Address: z.string().nullish(), Meta: labels }),
  Checks: z
    .array(
      z.object({
        CheckID: z.string(),
        Name: z.string().nullish(),
        Status: z.string(),
        Output: z.string().nullish(),
        Notes: z.string().nullish(),
      }),
    )
    .nullish(),
});

type HealthEntry = z.output<typeof entrySchema>;

export interface MapOptions {
  /** Config field `address`. */
  readonly address: 'node' | 'service';
  /** Follows the node's name in the id: names are unique within one data centre only. */
  readonly idSuffix?: string;
}

/** Stands where a registration has no usable address: reserved to exist nowhere. Source: RFC 2606. */
const NO_ADDRESS = parseHostAddress('address.invalid');

/** Keys that Consul sets itself. */
const OWN_META = /^consul-/;

const addressOf = (written: string): HostAddress | undefined => {
  try {
    return parseHostAddress(written);
  } catch {
    return undefined;
  }
};

const shownMeta = (meta: Labels | null | undefined): Labels =>
  Object.fromEntries(Object.entries(meta ?? {}).filter(([key]) => !OWN_META.test(key)));

/** The critical checks of a node and its instances, each once. `warning` is still available: Consul's own DNS hands such members out. */
const criticalReasons = (entries: readonly HealthEntry[]): readonly string[] => {
  const critical = entries.flatMap(({ Checks }) => Checks ?? []).filter(({ Status }) => Status === 'critical');
  const byId = new Map(critical.map((check) => [check.CheckID, check]));
  return [...byId.values()].map(({ CheckID, Name, Output, Notes }) => {
    const said = plainText(Output || Notes || '');
    return `check ${JSON.stringify(plainText(Name || CheckID))} is critical${said === '' ? '' : `: ${said}`}`;
  });
};

const hostOf = (entries: readonly [HealthEntry, ...HealthEntry[]], { address, idSuffix }: MapOptions): Host => {
  const [{ Node: node, Service: service }] = entries;
  const written = address === 'service' && service.Address ? service.Address : node.Address;
  const usable = addressOf(written);
  const wrong = usable === undefined ? [`its registered address ${JSON.stringify(plainText(written))} is no host name or IP address`] : [];
  const reasons = [...wrong, ...criticalReasons(entries)];
  return {
    id: `${node.Node}${idSuffix ?? ''}`,
    address: usable ?? NO_ADDRESS,
    available: reasons.length === 0,
    ...(reasons.length === 0 ? {} : { reason: reasons.join('; ') }),
    attributes: {
      ...shownMeta(node.Meta),
      ...shownMeta(service.Meta),
      ...(node.Datacenter ? { datacenter: node.Datacenter } : {}),
    },
  };
};

/** By the order of code units, which no locale changes. */
const byText = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

/**
 * The hosts of a service, from Consul's answer: one a node, also where several instances run on it, in the order of their names.
 * A host with any critical check is listed and not available.
 *
 * @throws PluginError `CONSUL_ANSWER_UNKNOWN` (stop)
 */
export const mapHealthEntries = (answer: unknown, options: MapOptions): readonly Host[] => {
  const parsed = z.array(entrySchema).safeParse(answer);
  if (!parsed.success) throw unknownAnswer('/v1/health/service', describeIssues(parsed.error), parsed.error);
  const nodes = new Map<string, [HealthEntry, ...HealthEntry[]]>();
  for (const entry of parsed.data.toSorted((one, other) => byText(one.Service.ID, other.Service.ID))) {
    const known = nodes.get(entry.Node.Node);
    if (known === undefined) nodes.set(entry.Node.Node, [entry]);
    else known.push(entry);
  }
  return [...nodes.values()].map((entries) => hostOf(entries, options)).toSorted((one, other) => byText(one.id, other.id));
};
