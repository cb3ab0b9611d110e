/** A line that is longer is not shown: the place is named anyway. */
const MAX_FRAME_CHARACTERS = 160;
const MASK = '***';

export interface FrameOptions {
  readonly text: string;
  readonly offset: number;
  /** From 1. */
  readonly line: number;
  /** Stretches of the text that are shown as `***`, whatever their length. */
  readonly hidden: readonly (readonly [number, number])[];
}

/** The line around `offset` and a caret under it. */
export const renderFrame = ({ text, offset, line, hidden }: FrameOptions): string | undefined => {
  const start = text.lastIndexOf('\n', offset - 1) + 1;
  const newline = text.indexOf('\n', offset);
  const end = newline === -1 ? text.length : newline;
  let shown = '';
  let caret = 0;
  let at = start;
  const stretches = hidden.filter(([from, to]) => from < end && to > start).sort((a, b) => a[0] - b[0]);
  for (const [from, to] of stretches) {
    if (to <= at) continue;
    const plain = text.slice(at, Math.max(at, from));
    if (offset >= at && offset < at + plain.length) caret = shown.length + offset - at;
    shown += plain;
    if (offset >= from && offset < to) caret = shown.length;
    shown += MASK;
    at = Math.min(to, end);
  }
  if (offset >= at) caret = shown.length + offset - at;
  shown += text.slice(at, end);
  shown = shown.replace(/\r$/, '');
  if (shown.length > MAX_FRAME_CHARACTERS) return undefined;
  const gutter = `${line} | `;
  const padding = shown.slice(0, caret).replace(/[^\t]/g, ' ');
  return `${gutter}${shown}\n${' '.repeat(gutter.length - 2)}| ${padding}^`;
};
