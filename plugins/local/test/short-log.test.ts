import { describe, expect, it } from 'vitest';
import { MAX_REPORTED_LOG_BYTES, shortLog } from '../src/short-log.js';

describe('shortLog', () => {
  it.each([
    ['colours', '\u001b[1;31mError:\u001b[0m no table', 'Error: no table'],
    ['a title', '\u001b]0;evil\u0007seen', 'seen'],
    ['a progress bar', '10%\r20%\r\ndone\t.', '10%\n20%\ndone .'],
    ['bytes that are no text', 'a\0b\u0007c\u009bd', 'abcd'],
    ['what turns the direction', 'a\u202eb\u2066c', 'abc'],
    ['other scripts', 'żółć 変更 🐦', 'żółć 変更 🐦'],
    ['blank lines at its end', 'last\n\n \n', 'last'],
  ])('cleans %s', (_what, text, expected) => {
    expect(shortLog(text)).toBe(expected);
  });

  it('keeps the end, from the beginning of a line', () => {
    const lines = Array.from({ length: 5_000 }, (_, number) => `line ${number}`);
    const short = shortLog(lines.join('\n'));
    expect(Buffer.byteLength(short)).toBeLessThanOrEqual(MAX_REPORTED_LOG_BYTES);
    expect(Buffer.byteLength(short)).toBeGreaterThan(MAX_REPORTED_LOG_BYTES - 20);
    expect(lines.slice(-short.split('\n').length).join('\n')).toBe(short);
  });

  it('cuts one long line between characters', () => {
    expect(shortLog('変'.repeat(100), 10)).toBe('変変変');
  });
});
