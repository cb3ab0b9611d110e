import { isSecret } from '@pipit/core';
import { type ConfigPath, isWithin, pathKey } from './config-path.js';
import type { Entry } from './source-tree.js';

interface FoundSecret {
  readonly path: ConfigPath;
  readonly text: string;
}

/** Every Secret in what a schema made. */
export const revealSecrets = (output: unknown): readonly string[] => secretsIn(output, [], new WeakSet()).map(({ text }) => text);

const secretsIn = (value: unknown, path: ConfigPath, seen: WeakSet<object>): readonly FoundSecret[] => {
  if (typeof value !== 'object' || value === null || seen.has(value)) return [];
  seen.add(value);
  if (isSecret(value)) return [{ path, text: value.reveal() }];
  if (Array.isArray(value)) return value.flatMap((child: unknown, index) => secretsIn(child, [...path, index], seen));
  if (value instanceof Map) return [...value].flatMap(([key, child]) => secretsIn(child, [...path, String(key)], seen));
  if (value instanceof Set) return [...value].flatMap((child, index) => secretsIn(child, [...path, index], seen));
  return Object.entries(value).flatMap(([key, child]) => secretsIn(child, [...path, key], seen));
};

/**
 * The entries whose literal text became a Secret: at the same path in the output, or, when the schema moved it, by the text itself.
 *
 * @param output what a schema made of the section at `path`
 */
export const findLiteralSecrets = (output: unknown, path: ConfigPath, entries: ReadonlyMap<string, Entry>): readonly Entry[] => {
  const literals = [...entries.values()].filter(
    (entry) => entry.origin === 'literal' && entry.literal !== undefined && isWithin(entry.path, path),
  );
  return secretsIn(output, path, new WeakSet()).flatMap((secret) => {
    const own = entries.get(pathKey(secret.path));
    if (own?.origin === 'reference') return [];
    if (own?.origin === 'literal' && own.literal !== undefined) return [own];
    return literals.filter((entry) => String(entry.literal) === secret.text && secret.text !== '');
  });
};
