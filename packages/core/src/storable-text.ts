import { PluginError } from './plugin-error.js';

/** What PostgreSQL's text and jsonb cannot hold: the zero character, and halves of a character outside the basic plane. */
const UNSTORABLE = /\0|\p{Surrogate}/u;
const EVERY_UNSTORABLE = new RegExp(UNSTORABLE, 'gu');

/** The text as a database keeps it: the replacement character stands for each character that cannot be stored. */
export const storableText = (text: string): string => text.replace(EVERY_UNSTORABLE, '\uFFFD');

/** Parts of a path that a message shows. */
const MAX_SHOWN_PATH = 4;

/** How JSON writes what cannot be stored; a backslash that stands for itself may look like it. */
const MAY_BE_UNSTORABLE = /\\u(?:0000|d[89a-f])/;

const replaceDeep = (_key: string, each: unknown): unknown => {
  if (typeof each === 'string') return storableText(each);
  if (typeof each !== 'object' || each === null || Array.isArray(each)) return each;
  return Object.fromEntries(Object.entries(each).map(([key, inner]) => [storableText(key), inner]));
};

/** A value as JSON that a database keeps unchanged: {@link storableText} of every text and every key within it. */
export const storableJson = (value: unknown): string => {
  const text = JSON.stringify(value);
  return MAY_BE_UNSTORABLE.test(text) ? JSON.stringify(value, replaceDeep) : text;
};

/** The path of a text or key within a value that cannot be stored, for example `reason`; undefined when all can be. */
const findUnstorable = (value: unknown): readonly string[] | undefined => {
  // A list and no recursion: a body may be nested deeper than the stack.
  const open: { readonly each: unknown; readonly path: readonly string[] }[] = [{ each: value, path: [] }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { each, path } = next;
    if (typeof each === 'string' && UNSTORABLE.test(each)) return path;
    if (typeof each !== 'object' || each === null) continue;
    for (const [key, inner] of Object.entries(each)) {
      if (UNSTORABLE.test(key)) return [...path.slice(0, MAX_SHOWN_PATH), '(a name)'];
      open.push({ each: inner, path: path.length < MAX_SHOWN_PATH ? [...path, key] : path });
    }
  }
  return undefined;
};

/**
 * Refuses a value with a text that no database keeps unchanged: a zero character, or half of a surrogate pair. For what people and programs
 * send; what other programs wrote (a commit's author, a tool's output) is made storable instead, because it must not be lost.
 *
 * @param where what the value is, for the message: `the query`
 * @throws PluginError `INVALID_TEXT` (stop)
 */
export const requireStorable = (value: unknown, where: string): void => {
  const path = findUnstorable(value);
  if (path === undefined) return;
  throw new PluginError({
    code: 'INVALID_TEXT',
    message: `${path.length === 0 ? '' : `${path.join('.')} in `}${where} has a zero character (U+0000) or half of a character (a lone surrogate)`,
    hint: 'Take it out: such text cannot be stored unchanged.',
    recovery: 'stop',
  });
};
