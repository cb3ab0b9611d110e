/** What PostgreSQL cannot store: pipit hashed it, and stored U+FFFD in its place, until it refused such text. */
const LOST = [0, ...Array.from({ length: 0x800 }, (_, index) => 0xd800 + index)];
const REPLACED = '\uFFFD';
/** Of so many places each is tried as lost and as given. */
const MAX_MIXED_PLACES = 12;

const escaped = (code: number): string => `\\u${code.toString(16).padStart(4, '0')}`;

function* candidates(json: string): Generator<string> {
  const parts = json.split(REPLACED);
  const places = parts.length - 1;
  if (places === 0) return;
  for (const code of LOST) yield parts.join(escaped(code));
  if (places > MAX_MIXED_PLACES) return;
  for (let given = 1; given < 2 ** places; given += 1)
    yield parts.map((part, index) => (index === 0 ? part : `${given & (1 << (index - 1)) ? REPLACED : escaped(0)}${part}`)).join('');
}

/**
 * Whether a line was broken by pipit itself and not by anybody else: there is a text with zero characters or lone surrogates, where the line has
 * U+FFFD now, that its hash fits. That is a proof, since nobody can find a text for a given hash. False says nothing: the text may have been lost
 * in more ways than are tried.
 */
export const isOldFault = <Row>(row: Row, fits: (row: Row) => boolean): boolean => {
  for (const json of candidates(JSON.stringify(row))) if (fits(JSON.parse(json) as Row)) return true; // the row with other texts
  return false;
};

/** Whether a line has what the old fault left: with it, a break may be the fault's or somebody's. */
export const mayBeOldFault = (row: unknown): boolean => JSON.stringify(row).includes(REPLACED);
