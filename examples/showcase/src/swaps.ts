import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';

const CONFIG_FILE = fileURLToPath(new URL('../pipit.config.yaml', import.meta.url));
const SWAPS_FILE = fileURLToPath(new URL('../swaps.yaml', import.meta.url));

const SLOTS = ['trigger', 'ci', 'packager', 'repository', 'discovery', 'deployer', 'transport'] as const;

type Slots = Readonly<Partial<Record<(typeof SLOTS)[number], string | { readonly use: string }>>>;

interface ConfigText {
  readonly plugins: Readonly<Record<string, unknown>>;
  readonly pipelines: { readonly shop: Slots };
}

interface SwapsText {
  readonly swaps: Readonly<Record<string, Slots>>;
  readonly plugins: Readonly<Record<string, unknown>>;
}

/** The instances that a pipeline names. */
const instancesOf = (slots: Slots): ReadonlySet<string> =>
  new Set(SLOTS.flatMap((name) => slots[name] ?? []).map((slot) => (typeof slot === 'string' ? slot : slot.use)));

/**
 * Writes the showcase's config with some of its parts swapped, as a person would edit it by hand: the new instances come in, those that nothing
 * names any more go.
 * @param names of swaps.yaml; of two that swap the same part the last wins.
 * @throws Error when swaps.yaml has no such swap.
 */
export const writeSwappedConfig = async (file: string, names: readonly string[]): Promise<void> => {
  const config = parse(await readFile(CONFIG_FILE, 'utf8')) as ConfigText;
  const { swaps, plugins } = parse(await readFile(SWAPS_FILE, 'utf8')) as SwapsText;
  const changes = names.map((name) => {
    const swap = swaps[name];
    if (swap === undefined) throw new Error(`No swap is called ${name}; there are ${Object.keys(swaps).join(', ')}`);
    return swap;
  });
  const before = config.pipelines.shop;
  const shop: Slots = Object.assign({}, before, ...changes);
  const after = instancesOf(shop);
  const gone = [...instancesOf(before)].filter((instance) => !after.has(instance));
  const instances = Object.entries({ ...config.plugins, ...plugins }).filter(
    ([name]) => !gone.includes(name) && (name in config.plugins || after.has(name)),
  );
  await writeFile(file, stringify({ ...config, plugins: Object.fromEntries(instances), pipelines: { shop } }));
};
