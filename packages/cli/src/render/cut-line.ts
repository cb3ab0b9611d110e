// biome-ignore lint/suspicious/noControlCharactersInRegex: the colours that picocolors puts in
const COLOUR = /\u001b\[\d+m/g;

/** Characters that a terminal shows; colours take no room. */
export const visibleLength = (line: string): number => [...line.replace(COLOUR, '')].length;

/** A line that fits into `width` columns; what is cut off is shown as `…`, and colours are ended. */
export const cutLine = (line: string, width: number): string => {
  if (visibleLength(line) <= width) return line;
  let kept = '';
  let length = 0;
  let isColoured = false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours that picocolors puts in
  for (const [piece] of line.matchAll(/\u001b\[\d+m|./gsu)) {
    if (piece.startsWith('\u001b')) isColoured = true;
    else if (length === Math.max(1, width) - 1) break;
    else length += 1;
    kept += piece;
  }
  return `${kept}…${isColoured ? '\u001b[0m' : ''}`;
};
