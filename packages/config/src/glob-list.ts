import { compileGlob } from './compile-glob.js';

/**
 * A list of globs as one predicate, case-sensitive: a text matches when one pattern matches it and no pattern that begins with `!` does.
 * With `!` patterns alone, everything else matches. `*` stays within one path segment; `**` crosses `/`.
 */
export const compileGlobs = (patterns: readonly string[]): ((text: string) => boolean) => {
  const wanted = patterns.filter((pattern) => !pattern.startsWith('!')).map((pattern) => compileGlob(pattern));
  const unwanted = patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => compileGlob(pattern.slice(1)));
  return (text) => (wanted.length === 0 || wanted.some((matches) => matches(text))) && !unwanted.some((matches) => matches(text));
};
