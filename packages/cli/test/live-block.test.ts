import { describe, expect, it } from 'vitest';
import { createLiveBlock } from '../src/render/live-block.js';

/** What a terminal shows after it obeyed; knows only what a live block writes. */
const createScreen = (rows: number) => {
  const lines: string[] = [''];
  let row = 0;
  const written: string[] = [];
  const obey = (text: string): void => {
    written.push(text);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what the block writes
    for (const [piece, up] of text.matchAll(/\u001b\[(\d+)A|\u001b\[2K|\u001b\[0J|\r|\n|[^\u001b\r\n]+/g)) {
      if (up !== undefined) row -= Number(up);
      else if (piece === '\u001b[2K') lines[row] = '';
      else if (piece === '\u001b[0J') lines.length = row;
      else if (piece === '\n') {
        row += 1;
        while (lines.length <= row) lines.push('');
      } else if (piece !== '\r') lines[row] = piece;
      if (row < 0 || row < lines.length - rows) throw new Error('The cursor went above the screen');
    }
  };
  return { output: { write: obey, isLive: true, columns: 80, rows }, shown: () => lines.filter((line) => line !== ''), written };
};

describe('a live block', () => {
  it('draws over in place, and writes only the lines that changed', () => {
    const { output, shown, written } = createScreen(20);
    const block = createLiveBlock(output);
    block.draw(['one', 'two', 'three']);
    block.draw(['one', 'TWO', 'three']);
    expect(shown()).toEqual(['one', 'TWO', 'three']);
    expect(written[1]).toContain('TWO');
    expect(written[1]).not.toContain('one');
    expect(written[1]).not.toContain('three');
  });

  it('writes nothing when nothing changed', () => {
    const { output, written } = createScreen(20);
    const block = createLiveBlock(output);
    block.draw(['one']);
    block.draw(['one']);
    expect(written).toHaveLength(1);
  });

  it('grows and shrinks', () => {
    const { output, shown } = createScreen(20);
    const block = createLiveBlock(output);
    for (const lines of [['one'], ['one', 'two', 'three'], ['four']]) {
      block.draw(lines);
      expect(shown()).toEqual(lines);
    }
  });

  it('keeps the end of what is taller than the screen, and never goes above it', () => {
    const { output, shown } = createScreen(5);
    const block = createLiveBlock(output);
    const tall = (word: string) => Array.from({ length: 9 }, (_, at) => `${word}${at}`);
    block.draw(tall('a'));
    block.draw(tall('b'));
    expect(shown()).toEqual(['… 6 lines above', 'b6', 'b7', 'b8']);
    block.end(tall('c'));
    expect(shown()).toEqual(tall('c'));
  });
});
