import { Lexer } from 'yaml';

/** A config is some kilobytes. */
const MAX_CONFIG_CHARACTERS = 1_048_576;
/** The deepest key that pipit knows is at level 8; plugins may want some more. */
export const MAX_DEPTH = 64;
/** After aliases are expanded, so that nested aliases cannot fill the memory. */
export const MAX_NODES = 100_000;
/** Nesting by indentation takes at least one column a level. */
const MAX_INDENTATION = 512;

export interface LimitBreach {
  readonly offset: number;
  readonly message: string;
}

/**
 * What makes a text too large to be parsed. The YAML parser is recursive: thousands of nested lists would end the whole process
 * (V8 aborts when a regular expression is compiled near the end of the stack), so nesting is measured on the tokens before.
 */
export const findLimitBreach = (text: string): LimitBreach | undefined => {
  if (text.length > MAX_CONFIG_CHARACTERS) return { offset: 0, message: `The file has more than ${MAX_CONFIG_CHARACTERS} characters` };
  let offset = 0;
  let flowDepth = 0;
  let compactDepth = 0;
  let atLineStart = true;
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') flowDepth += 1;
    else if (token === ']' || token === '}') flowDepth -= 1;
    else if (token === '\n' || token === '\r\n') compactDepth = 0;
    else if (flowDepth <= 0 && (token === '-' || token === '?' || token === ':')) compactDepth += 1;
    const indentation = atLineStart && /^ +$/.test(token) ? token.length : 0;
    if (flowDepth > MAX_DEPTH || compactDepth > MAX_DEPTH || indentation > MAX_INDENTATION)
      return { offset, message: `Nested more than ${MAX_DEPTH} levels deep` };
    // The lexer marks documents and the kind of a scalar with one control character that is not in the text.
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are those marks
    if (!/^[\u0002\u0018\u001f\ufeff]$/.test(token)) offset += token.length;
    atLineStart = token.endsWith('\n');
  }
  return undefined;
};
