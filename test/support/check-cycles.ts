import { posix } from 'node:path';
import { readImports } from './read-source.js';
import type { SourceFile } from './read-workspace.js';

const importsAmong = (files: readonly SourceFile[]): ReadonlyMap<string, readonly string[]> => {
  const known = new Set(files.map((file) => file.path));
  const resolve = (from: string, specifier: string): string[] => {
    const target = posix.join(posix.dirname(from), specifier).replace(/\.js$/, '');
    return [`${target}.ts`, `${target}.tsx`].filter((path) => known.has(path));
  };
  return new Map(
    files.map((file) => [
      file.path,
      readImports(file.path, file.text)
        .filter(({ specifier }) => specifier.startsWith('.'))
        .flatMap(({ specifier }) => resolve(file.path, specifier)),
    ]),
  );
};

/** Every import cycle between files, types included, each told once as `a -> b -> a` from its first file in the alphabet. */
export const findCycles = (files: readonly SourceFile[]): readonly string[] => {
  const imports = importsAmong(files);
  const done = new Set<string>();
  const cycles = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      const ring = trail.slice(start);
      const first = ring.indexOf([...ring].sort()[0] ?? path);
      const turned = [...ring.slice(first), ...ring.slice(0, first)];
      cycles.add([...turned, turned[0]].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    for (const next of imports.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of [...imports.keys()].sort()) visit(path, []);
  return [...cycles].sort();
};
