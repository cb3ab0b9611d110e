import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type Scalar, type YAMLMap } from 'yaml';
import { type ConfigPath, pathKey } from './config-path.js';
import type { ProblemText } from './config-problem.js';
import { MAX_DEPTH, MAX_NODES } from './source-limits.js';

/** Where a text of the config comes from: written there, `{ $env }` or `{ $file }`, or a reference that could not be resolved. */
export type Origin = 'literal' | 'reference' | 'unresolved';

export interface Entry {
  readonly path: ConfigPath;
  /** Offset of the key in the file; lists have none. */
  readonly keyAt?: number;
  /** Offsets of the value, end exclusive. */
  readonly valueAt: readonly [start: number, end: number];
  readonly literal?: string | number | boolean | null;
  origin: Origin;
}

/** A `{ $env: NAME }` or `{ $file: path }` that stands in the config. */
export interface Reference {
  readonly type: 'env' | 'file';
  readonly target: string;
  readonly entry: Entry;
  /** Puts the text into the resolved value. */
  readonly resolve: (text: string) => void;
}

export interface TreeProblem extends ProblemText {
  readonly path: ConfigPath;
  readonly offset: number;
}

export interface SourceTree {
  /** As written: references are still `{ $env }` and `{ $file }`. */
  readonly source: unknown;
  /** Holder of the resolved value: references become texts in it, one by one. */
  readonly resolved: { root: unknown };
  readonly entries: ReadonlyMap<string, Entry>;
  readonly references: readonly Reference[];
  readonly problems: readonly TreeProblem[];
}

interface Both {
  readonly source: unknown;
  readonly resolved: unknown;
}

interface Place {
  readonly path: ConfigPath;
  readonly keyAt?: number;
  readonly ancestors: readonly Node[];
  /** Where a reference's text goes once it is known. */
  readonly put: (value: unknown) => void;
}

const range = (node: Node | null | undefined, fallback: number): readonly [number, number] =>
  node?.range ? [node.range[0], node.range[1]] : [fallback, fallback];

const keyText = (key: Scalar): string => (typeof key.value === 'string' ? key.value : (key.source ?? String(key.value)));

/**
 * Turns a parsed document into plain values, with an {@link Entry} for every place, so that a later problem can be pointed at.
 * Anchors, aliases and merge keys (`<<`) are followed; an alias that contains itself, a repeated key and a key that is no text are problems.
 */
export const readSourceTree = (document: Document): SourceTree => {
  const entries = new Map<string, Entry>();
  const references: Reference[] = [];
  const problems: TreeProblem[] = [];
  const resolved: { root: unknown } = { root: null };
  let nodes = 0;

  const addEntry = (node: Node | null | undefined, place: Place, origin: Origin, literal?: Entry['literal']): Entry => {
    const entry: Entry = {
      path: place.path,
      valueAt: range(node, place.keyAt ?? 0),
      origin,
      ...(place.keyAt === undefined ? {} : { keyAt: place.keyAt }),
      ...(literal === undefined ? {} : { literal }),
    };
    entries.set(pathKey(place.path), entry);
    return entry;
  };

  const addProblem = (node: Node | null | undefined, place: Place, problem: ProblemText): void => {
    problems.push({ ...problem, path: place.path, offset: range(node, place.keyAt ?? 0)[0] });
  };

  /** The pairs of a mapping: its own win over merged ones, and earlier merged ones over later. */
  const pairsOf = (map: YAMLMap, place: Place): ReadonlyMap<string, Pair<Node, Node | null>> => {
    const pairs = new Map<string, Pair<Node, Node | null>>();
    const merged: YAMLMap[] = [];
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      // the parser makes nodes of all keys and values; only hand-made documents hold other things
      const key = isAlias(pair.key) ? pair.key.resolve(document) : pair.key;
      if (!isScalar(key)) {
        addProblem(pair.key, place, { code: 'KEY_NOT_ALLOWED', message: 'A key must be a text, and not a list or a mapping' });
        continue;
      }
      const name = keyText(key);
      if (name === '<<' && key.type === 'PLAIN') {
        const targets = isSeq(pair.value) ? (pair.value.items as Node[]) : [pair.value]; // as above
        const maps = targets.map((target) => (isAlias(target) ? target.resolve(document) : target)).filter((target) => isMap(target));
        if (maps.length === targets.length) {
          merged.push(...maps);
          continue;
        }
      }
      if (name === '__proto__') addProblem(pair.key, place, { code: 'KEY_NOT_ALLOWED', message: 'The key "__proto__" is not allowed' });
      else if (pairs.has(name))
        addProblem(
          pair.key,
          { ...place, path: [...place.path, name] },
          {
            code: 'DUPLICATE_KEY',
            message: `Key ${JSON.stringify(name)} stands here a second time`,
            hint: 'Keep one of the two.',
          },
        );
      else pairs.set(name, pair);
    }
    if (place.ancestors.length > MAX_DEPTH) return pairs;
    for (const other of merged) {
      nodes += 1;
      if (nodes > MAX_NODES) break; // reading the values reports it
      if (place.ancestors.includes(other) || other === map) continue;
      const inherited = pairsOf(other, { ...place, ancestors: [...place.ancestors, map] });
      for (const [name, pair] of inherited) if (!pairs.has(name)) pairs.set(name, pair);
    }
    return pairs;
  };

  const readReference = (map: YAMLMap, pairs: ReadonlyMap<string, Pair<Node, Node | null>>, place: Place): Both | undefined => {
    const name = pairs.has('$env') ? '$env' : pairs.has('$file') ? '$file' : undefined;
    if (name === undefined) return undefined;
    const value = pairs.get(name)?.value;
    const target = isScalar(value) ? value.value : undefined;
    if (pairs.size > 1 || typeof target !== 'string' || target === '') {
      addEntry(map, place, 'unresolved');
      addProblem(map, place, {
        code: 'REFERENCE_MALFORMED',
        message: `A reference has the one key ${name} and a text`,
        expected: name === '$env' ? '{ $env: NAME }' : '{ $file: path }',
      });
      return { source: null, resolved: '' };
    }
    const entry = addEntry(map, place, 'reference');
    references.push({ type: name === '$env' ? 'env' : 'file', target, entry, resolve: place.put });
    return { source: { [name]: target }, resolved: '' };
  };

  const read = (given: Node | null | undefined, place: Place): Both => {
    nodes += 1;
    const node = isAlias(given) ? given.resolve(document) : given;
    if (isAlias(given) && node === undefined) {
      addEntry(given, place, 'unresolved');
      addProblem(given, place, { code: 'CONFIG_ALIAS', message: `No anchor &${given.source} stands before this alias` });
      return { source: null, resolved: null };
    }
    if (node && place.ancestors.includes(node)) {
      addEntry(given, place, 'unresolved');
      addProblem(given, place, { code: 'CONFIG_ALIAS', message: 'This alias contains itself' });
      return { source: null, resolved: null };
    }
    if (place.ancestors.length > MAX_DEPTH || nodes > MAX_NODES) {
      addEntry(given, place, 'unresolved');
      // Once is enough: what comes after it is as large.
      if (!problems.some((problem) => problem.code === 'CONFIG_TOO_LARGE'))
        addProblem(given, place, { code: 'CONFIG_TOO_LARGE', message: `More than ${MAX_DEPTH} levels or ${MAX_NODES} values` });
      return { source: null, resolved: null };
    }
    const ancestors = node ? [...place.ancestors, node] : place.ancestors;
    if (isMap(node)) {
      const pairs = pairsOf(node, place);
      const reference = readReference(node, pairs, place);
      if (reference) return reference;
      addEntry(given, place, 'literal');
      const source: Record<string, unknown> = {};
      const values: Record<string, unknown> = {};
      for (const [name, pair] of pairs) {
        const both = read(pair.value, {
          path: [...place.path, name],
          keyAt: range(pair.key, place.keyAt ?? 0)[0],
          ancestors,
          put: (value) => {
            values[name] = value;
          },
        });
        source[name] = both.source;
        values[name] = both.resolved;
      }
      return { source, resolved: values };
    }
    if (isSeq(node)) {
      addEntry(given, place, 'literal');
      const source: unknown[] = [];
      const values: unknown[] = [];
      for (const [index, child] of (node.items as Node[]).entries()) {
        const both = read(child, {
          path: [...place.path, index],
          ancestors,
          put: (value) => {
            values[index] = value;
          },
        });
        source.push(both.source);
        values.push(both.resolved);
      }
      return { source, resolved: values };
    }
    const raw = isScalar(node) ? node.value : null;
    const isPlain =
      raw === null || typeof raw === 'string' || typeof raw === 'boolean' || (typeof raw === 'number' && Number.isFinite(raw));
    // `.inf` and `.nan` are no JSON; the text they are written with fails wherever a number is expected.
    const value = isPlain ? raw : ((isScalar(node) ? node.source : undefined) ?? String(raw));
    addEntry(given, place, 'literal', value);
    return { source: value, resolved: value };
  };

  const root = read(document.contents as Node | null, {
    path: [],
    ancestors: [],
    put: (value) => {
      resolved.root = value;
    },
  });
  resolved.root = root.resolved;
  return { source: root.source, resolved, entries, references, problems };
};
