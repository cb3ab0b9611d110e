import picomatch from 'picomatch';

/** One character of a path segment, or any number of them. */
type Piece = '*' | ((character: string) => boolean);
type Segment = '**' | readonly Piece[];

/** What braces may stand for: more is no list that a person wrote. */
const MAX_ALTERNATIVES = 1_000;
/** Texts that are matched against a pattern with parentheses, whose time may grow faster than the text. */
const MAX_EXTENDED_CHARACTERS = 256;

const EXTENDED = /(?<!\\)[()]/;
const RANGE = /^([a-z]|[A-Z]|\d)\.\.([a-z]|[A-Z]|\d)$/;

/** The end of the braces that open at `start`, and where their commas are; undefined when they do not end. */
const readBraces = (pattern: string, start: number): { readonly end: number; readonly commas: readonly number[] } | undefined => {
  const commas: number[] = [];
  let depth = 0;
  for (let at = start; at < pattern.length; at += 1) {
    const character = pattern[at];
    if (character === '\\') at += 1;
    else if (character === '{') depth += 1;
    else if (character === ',' && depth === 1) commas.push(at);
    else if (character === '}') {
      depth -= 1;
      if (depth === 0) return { end: at, commas };
    }
  }
  return undefined;
};

const alternativesOf = (pattern: string, start: number, end: number, commas: readonly number[]): readonly string[] | undefined => {
  if (commas.length > 0) {
    const edges = [start, ...commas, end];
    return edges.slice(1).map((edge, index) => pattern.slice((edges[index] ?? 0) + 1, edge));
  }
  const [, from, to] = RANGE.exec(pattern.slice(start + 1, end)) ?? [];
  if (from === undefined || to === undefined || from > to) return undefined;
  return Array.from({ length: to.charCodeAt(0) - from.charCodeAt(0) + 1 }, (_, index) => String.fromCharCode(from.charCodeAt(0) + index));
};

/** `a{b,c}` as `ab` and `ac`. Braces without a comma or a range stand for themselves. */
const expandBraces = (pattern: string): readonly string[] => {
  const left = [{ text: pattern, from: 0 }];
  const expanded: string[] = [];
  for (let next = left.shift(); next !== undefined; next = left.shift()) {
    const { text, from } = next;
    let start = from;
    while (start < text.length && text[start] !== '{') start += text[start] === '\\' ? 2 : 1;
    const braces = start < text.length ? readBraces(text, start) : undefined;
    const alternatives = braces && alternativesOf(text, start, braces.end, braces.commas);
    if (start >= text.length) expanded.push(text);
    else if (braces === undefined || alternatives === undefined) left.push({ text, from: start + 1 });
    else for (const each of alternatives) left.push({ text: `${text.slice(0, start)}${each}${text.slice(braces.end + 1)}`, from: start });
    if (expanded.length + left.length > MAX_ALTERNATIVES) return expanded;
  }
  return expanded;
};

const readClass = (text: string, start: number): { readonly end: number; readonly piece: Piece } | undefined => {
  const end = text.indexOf(']', start + 2);
  if (end === -1) return undefined;
  const body = text.slice(start + 1, end);
  try {
    const pattern = new RegExp(`^[${body}]$`);
    return { end, piece: (character) => pattern.test(character) };
  } catch {
    return undefined;
  }
};

const readSegment = (text: string): Segment => {
  if (text === '**') return '**';
  const pieces: Piece[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    const range = character === '[' ? readClass(text, at) : undefined;
    if (range !== undefined) {
      pieces.push(range.piece);
      at = range.end;
    } else if (character === '*') {
      if (pieces.at(-1) !== '*') pieces.push('*');
    } else if (character === '?') pieces.push(() => true);
    else {
      if (character === '\\') at += 1;
      const literal = text[at] ?? '\\';
      pieces.push((each) => each === literal);
    }
  }
  return pieces;
};

/** Matches by going back to the last star only: its time is at most the product of both lengths. */
const matchWith = <T, P>(
  pattern: readonly P[],
  items: ArrayLike<T>,
  isStar: (piece: P) => boolean,
  fits: (piece: P, item: T) => boolean,
) => {
  let at = 0;
  let item = 0;
  let starAt = -1;
  let starItem = 0;
  while (item < items.length) {
    const piece = pattern[at];
    if (piece !== undefined && isStar(piece)) {
      starAt = at;
      starItem = item;
      at += 1;
    } else if (piece !== undefined && fits(piece, items[item] as T)) {
      at += 1;
      item += 1;
    } else if (starAt !== -1) {
      starItem += 1;
      item = starItem;
      at = starAt + 1;
    } else return false;
  }
  while (at < pattern.length && isStar(pattern[at] as P)) at += 1;
  return at === pattern.length;
};

const matchSegment = (segment: Segment, text: string): boolean => {
  if (segment === '**' || text === '') return false;
  return matchWith(
    segment,
    text,
    (piece) => piece === '*',
    (piece, character) => piece !== '*' && piece(character),
  );
};

/** One glob as a predicate whose time does not explode with the text: anybody who may push names branches and files. */
export const compileGlob = (pattern: string): ((text: string) => boolean) => {
  if (EXTENDED.test(pattern)) {
    const matches = picomatch(pattern, { dot: true, nonegate: true });
    return (text) => text.length <= MAX_EXTENDED_CHARACTERS && matches(text);
  }
  // `./a` is `a`, and `**{a,b}` crosses `/` as `**/*{a,b}` does.
  const meant = pattern.replace(/^\.\//, '').replaceAll(/(?<![^/])\*\*(?=\{)/g, '**/*');
  const alternatives = expandBraces(meant).map((each) => each.split('/').map(readSegment));
  return (text) => {
    const parts = text.split('/');
    return alternatives.some((segments) => matchWith(segments, parts, (segment) => segment === '**', matchSegment));
  };
};
