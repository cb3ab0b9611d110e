import { type Document, isMap, isScalar, Lexer, visit } from 'yaml';

/** Some ten thousand hosts. */
const MAX_CHARACTERS = 2 * 1024 * 1024;
/** A host's attributes stand at level 4. */
const MAX_DEPTH = 16;
const MAX_INDENTATION = 256;
/** Each alias is looked up through the whole document. */
const MAX_ALIASES = 100;

/** Why a text is not parsed. The parser is recursive, and thousands of nested lists may end the process: tokens are measured before. */
export const findInventoryBreach = (text: string): string | undefined => {
  if (text.length > MAX_CHARACTERS) return `the file has more than ${MAX_CHARACTERS} characters`;
  let flowDepth = 0;
  let compactDepth = 0;
  let aliases = 0;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') flowDepth += 1;
    else if (token === ']' || token === '}') flowDepth -= 1;
    else if (flowDepth <= 0 && (token === '-' || token === '?' || token === ':')) compactDepth += 1;
    else if (token.startsWith('*')) aliases += 1;
    if (token.endsWith('\n')) compactDepth = 0;
    if (flowDepth > MAX_DEPTH || compactDepth > MAX_DEPTH || (token.length > MAX_INDENTATION && /^ +$/.test(token)))
      return `nested more than ${MAX_DEPTH} levels deep`;
    if (aliases > MAX_ALIASES) return `more than ${MAX_ALIASES} aliases`;
  }
  return undefined;
};

/** The places of keys that stand twice in a mapping. The parser's own check compares each with each. */
export const repeatedKeys = (document: Document): readonly number[] => {
  const found: number[] = [];
  visit(document, {
    Map: (_key, node) => {
      if (!isMap(node)) return;
      const seen = new Set<unknown>();
      for (const { key } of node.items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value)) found.push(key.range?.[0] ?? 0);
        seen.add(key.value);
      }
    },
  });
  return found;
};
