export interface LinePosition {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
}

/**
 * Turns offsets of a text into lines and columns; an offset beyond the end is at the end. The YAML parser's own counter
 * misses the lines of a scalar that it did not finish.
 */
export const createLineIndex = (text: string): ((offset: number) => LinePosition) => {
  const starts = [0];
  for (const { index } of text.matchAll(/\n/g)) starts.push(index + 1);
  return (given) => {
    const offset = Math.min(Math.max(0, given), text.length);
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
};
