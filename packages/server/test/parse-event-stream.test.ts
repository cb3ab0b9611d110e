import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEventStreamParser } from '../src/client/parse-event-stream.js';

const parseAll = (pieces: readonly string[]) => {
  const parse = createEventStreamParser();
  return pieces.flatMap((piece) => parse(piece));
};

describe('an event stream', () => {
  it('is read as the standard says', () => {
    expect(parseAll(['retry: 1\n\n: hello\n\nid: a.1\nevent: change\ndata: {"x":\ndata:1}\n\ndata\n\n'])).toEqual([
      { type: 'alive' },
      { type: 'alive' },
      { type: 'event', event: 'change', id: 'a.1', data: '{"x":\n1}' },
      { type: 'event', event: 'message', id: undefined, data: '' },
    ]);
  });

  it('says the same wherever it is cut, and whatever ends its lines', () => {
    const text = 'id: 1\nevent: change\ndata: one\n\n: alive\n\nid: 2\ndata: two\ndata: three\n\n';
    const expected = parseAll([text]);
    fc.assert(
      fc.property(fc.constantFrom('\n', '\r\n', '\r'), fc.array(fc.nat(text.length * 2)), (end, cuts) => {
        const ended = text.replaceAll('\n', end);
        const at = [...new Set([0, ...cuts.filter((cut) => cut < ended.length), ended.length])].sort((one, other) => one - other);
        const pieces = at.slice(1).map((to, index) => ended.slice(at[index], to));
        // A lone \r at the very end could still become \r\n, so the last event waits for what follows.
        expect(parseAll([...pieces, ':'])).toEqual(expected);
      }),
    );
  });

  it('does not fill the memory with an event that never ends', () => {
    const parse = createEventStreamParser();
    expect(() => {
      for (let piece = 0; piece < 100; piece += 1) parse('x'.repeat(64 * 1024));
    }).toThrow(/does not end/);
  });

  it.each([
    ['an event', `data: ${'x'.repeat(900_000)}`],
    ['line ends', '\r\n:'.repeat(200_000)],
  ])('reads %s that comes character by character', { timeout: 20_000 }, (_what, text) => {
    const whole = parseAll([text, '\n\n:']);
    expect(parseAll([...text, '\n', '\n', ':'])).toEqual(whole);
    expect(whole).toHaveLength(1);
  });
});
