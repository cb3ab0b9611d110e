/** Finds many texts in one: its time grows with the text, and hardly with how many there are. */
export interface FormIndex {
  /** Places of `text` where a form stands, also within another. */
  find(text: string): readonly (readonly [start: number, end: number])[];
  /** Where the longest end of `text` begins that may be the beginning of a form; the text's length when there is none. */
  beginningAt(text: string): number;
}

/** Forms are looked up by their first characters: by as many of these as they have. */
const KEY_LENGTHS = [32, 16, 8, 4] as const;
const PAIRS = 1 << 16;

const pairOf = (text: string, at: number): number => (text.charCodeAt(at) * 257 + text.charCodeAt(at + 1)) & (PAIRS - 1);

/** @param forms of at least 4 characters */
export const createFormIndex = (forms: readonly string[]): FormIndex => {
  const sorted = [...new Set(forms)].sort();
  const longest = sorted.reduce((length, form) => Math.max(length, form.length), 0);
  const pairs = new Uint8Array(PAIRS);
  const firsts = new Set<number>();
  /** By key length and key: forms with that beginning, longest first. */
  const tables = KEY_LENGTHS.map((length) => ({ length, forms: new Map<string, string[]>() }));
  for (const form of sorted) {
    pairs[pairOf(form, 0)] = 1;
    firsts.add(form.charCodeAt(0));
    const table = tables.find(({ length }) => form.length >= length);
    if (table === undefined) continue;
    const key = form.slice(0, table.length);
    const same = table.forms.get(key);
    if (same === undefined) table.forms.set(key, [form]);
    else same.push(form);
  }
  for (const table of tables) for (const same of table.forms.values()) same.sort((a, b) => b.length - a.length);
  const used = tables.filter((table) => table.forms.size > 0);

  /** Whether a form that is longer than `beginning` begins so. */
  const begins = (beginning: string): boolean => {
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] ?? '') <= beginning) low = middle + 1;
      else high = middle;
    }
    return sorted[low]?.startsWith(beginning) === true;
  };

  return {
    find: (text) => {
      const found: (readonly [number, number])[] = [];
      if (sorted.length === 0) return found;
      for (let at = 0; at + 4 <= text.length; at += 1) {
        if (pairs[pairOf(text, at)] === 0) continue;
        let end = 0;
        for (const { length, forms: table } of used) {
          const form = table.get(text.slice(at, at + length))?.find((each) => text.startsWith(each, at));
          if (form !== undefined) end = Math.max(end, at + form.length);
        }
        if (end > 0) found.push([at, end]);
      }
      return found;
    },
    beginningAt: (text) => {
      const first = Math.max(0, text.length - longest + 1);
      for (let at = first; at < text.length - 1; at += 1) if (pairs[pairOf(text, at)] === 1 && begins(text.slice(at))) return at;
      return text.length > 0 && firsts.has(text.charCodeAt(text.length - 1)) ? text.length - 1 : text.length;
    },
  };
};
