/** Where text goes: a terminal, a pipe or a test. */
export interface TextOutput {
  write(text: string): void;
  /** Lines may be drawn over. */
  readonly isLive: boolean;
  readonly columns: number;
  readonly rows: number;
}

/** Lines that are drawn over in place; only those that changed are written. */
export interface LiveBlock {
  draw(lines: readonly string[]): void;
  /** Draws for the last time, whole; the cursor stands below. */
  end(lines: readonly string[]): void;
}

const UP = (lines: number): string => (lines === 0 ? '' : `\u001b[${lines}A`);
const CLEAR_LINE = '\u001b[2K';
const CLEAR_BELOW = '\u001b[0J';

/** A block must not be taller than the screen: what scrolled away cannot be drawn over. The end, where the news is, stays. */
const fit = (lines: readonly string[], rows: number): readonly string[] => {
  const room = Math.max(2, rows - 1);
  return lines.length <= room ? lines : [`… ${lines.length - room + 1} lines above`, ...lines.slice(lines.length - room + 1)];
};

export const createLiveBlock = (output: TextOutput): LiveBlock => {
  let drawn: readonly string[] = [];
  const drawOver = (lines: readonly string[]): void => {
    if (lines.length === drawn.length && lines.every((line, at) => line === drawn[at])) return;
    const text = lines.map((line, at) => (line === drawn[at] ? '\n' : `\r${CLEAR_LINE}${line}\n`)).join('');
    output.write(`${UP(drawn.length)}\r${text}${lines.length < drawn.length ? CLEAR_BELOW : ''}`);
    drawn = lines;
  };
  return {
    draw: (lines) => drawOver(fit(lines, output.rows)),
    end: (lines) => {
      // Nothing is drawn over any more, so that all of it may stand, however tall the screen is.
      if (lines.length > Math.max(2, output.rows - 1)) {
        output.write(`${UP(drawn.length)}\r${CLEAR_BELOW}${lines.map((line) => `${line}\n`).join('')}`);
        drawn = [];
      } else drawOver(lines);
      drawn = [];
    },
  };
};
