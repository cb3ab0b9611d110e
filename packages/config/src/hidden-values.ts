import { type Document, visit } from 'yaml';
import { type ConfigPath, pathKey } from './config-path.js';
import { isDescribedAt, type JsonSchema } from './schema-shape.js';
import type { SourceTree } from './source-tree.js';

/** What stands there goes to a plugin or is a secret of pipit's own. */
const isPrivate = (path: ConfigPath): boolean => path[0] === 'database' || path[0] === 'audit' || path.includes('with');

/**
 * The stretches of the file that no frame shows: every value that pipit's own schema does not name as a harmless one. Before validation
 * nobody knows which texts are secrets, and a misplaced key or a second one of the same name may hold one too.
 */
export const findHiddenValues = (document: Document, tree: SourceTree, coreShape: JsonSchema): readonly (readonly [number, number])[] => {
  const shown = new Set<number>();
  const hidden = new Set<number>();
  for (const entry of tree.entries.values()) {
    const isHarmless = entry.literal !== undefined && !isPrivate(entry.path) && isDescribedAt(coreShape, entry.path);
    if (isHarmless) shown.add(entry.valueAt[0]);
    else if (entry.literal !== undefined) hidden.add(entry.valueAt[0]);
  }
  const references = tree.references.map(({ entry }) => tree.entries.get(pathKey(entry.path))?.valueAt ?? entry.valueAt);
  const stretches: (readonly [number, number])[] = [];
  visit(document, {
    Scalar: (role, { range }) => {
      if (role === 'key' || !range) return;
      const [start, end] = range;
      if (shown.has(start) && !hidden.has(start)) return;
      if (references.some(([from, to]) => start >= from && end <= to)) return;
      stretches.push([start, end]);
    },
  });
  return stretches;
};
