import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatProblems } from '../src/index.js';
import { load, minimal } from './sample-plugins.js';

/** Pieces that a YAML parser and our own schema react to. */
const pieces = fc.constantFrom(
  ...[
    'pipelines:',
    'plugins:',
    'web:',
    'with:',
    'uses: "@pipit/plugin-jenkins"',
    'use: local',
    'rings:',
    '- ',
    '? ',
    ': ',
    '\n',
    '  ',
    '    ',
  ],
  ...[
    '{',
    '}',
    '[',
    ']',
    ',',
    '"',
    "'",
    '|',
    '>',
    '&a ',
    '*a',
    '<<: *a',
    '!tag ',
    '# x',
    '---\n',
    '...',
    '%YAML 1.1\n',
    '\t',
    '\r\n',
    '\u0000',
    '\ufeff',
  ],
  ...[
    '{ $env: A }',
    '{ $env: {} }',
    '$file: x',
    '__proto__:',
    'constructor: 1',
    'null',
    '~',
    '.nan',
    '.inf',
    '0x1F',
    '1e999',
    '9007199254740993',
    'when: event.x',
  ],
);

const holds = async (text: string): Promise<void> => {
  const result = await load(text, { environment: { A: 'secret-of-a' } });
  if (result.ok) return;
  expect(result.problems.length).toBeGreaterThan(0);
  const lines = text.split('\n');
  for (const { line, column } of result.problems) {
    expect(line).toBeGreaterThanOrEqual(1);
    expect(line).toBeLessThanOrEqual(lines.length);
    expect(column).toBeGreaterThanOrEqual(1);
    expect(column).toBeLessThanOrEqual((lines[line - 1]?.length ?? 0) + 1);
  }
  expect(formatProblems(result.problems)).not.toContain('secret-of-a');
};

describe('loadConfig on any text', () => {
  it('gives problems with places inside the text and never throws, for arbitrary texts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.array(pieces, { maxLength: 30 }).map((parts) => parts.join('')),
        ),
        holds,
      ),
      { numRuns: 500 },
    );
  });

  it('never throws for a config that one edit has changed', async () => {
    const good = `plugins: { j: { uses: "@pipit/plugin-jenkins", with: { url: { $env: A }, token: { $env: A } } } }\n${minimal([], "{ use: local, when: event.branch == 'main' }")}`;
    const edited = fc
      .tuple(fc.nat(good.length), fc.nat(20), pieces)
      .map(([at, removed, inserted]) => good.slice(0, at) + inserted + good.slice(at + removed));
    await fc.assert(fc.asyncProperty(edited, holds), { numRuns: 500 });
  });

  it('never throws for arbitrary values in place of the right ones', async () => {
    const values = fc.dictionary(
      fc.constantFrom('server', 'plugins', 'pipelines', 'database', 'version'),
      fc.object({
        key: fc.constantFrom('web', 'uses', 'with', 'use', 'rings', 'apps', 'trigger', 'when', 'health', 'repositories', '$env', '0'),
      }),
    );
    await fc.assert(
      fc.asyncProperty(values, (value) => holds(JSON.stringify(value))),
      { numRuns: 300 },
    );
  });

  // Each of these ends the process, or fills the memory, when it reaches the parser.
  it.each([
    ['lists in one line', '['.repeat(50_000)],
    ['mappings in one line', '{a: '.repeat(50_000)],
    ['compact lists', '- '.repeat(50_000)],
    ['compact keys', '? '.repeat(50_000)],
    ['indentation', Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
    ['lists under keys', Array.from({ length: 500 }, (_, depth) => `${' '.repeat(depth)}${'- '.repeat(60)}a:`).join('\n')],
    ['many tags and anchors', `${'&a '.repeat(20_000)}x`],
    ['size', `a: ${'x'.repeat(1_100_000)}`],
    [
      'nested aliases',
      [
        'a: &a [x,x,x,x,x,x,x,x,x,x]',
        ...Array.from(
          { length: 9 },
          (_, i) =>
            `${String.fromCharCode(98 + i)}: &${String.fromCharCode(98 + i)} [${Array.from({ length: 10 }, () => `*${String.fromCharCode(97 + i)}`).join(',')}]`,
        ),
      ].join('\n'),
    ],
    ['an alias of itself', 'plugins: &a { x: *a }'],
    ['a merge of itself', 'plugins: &a { <<: *a, x: 1 }'],
    [
      'merges of merges',
      [
        'a: &a { x: 1 }',
        ...Array.from(
          { length: 12 },
          (_, i) =>
            `k${i}: &${String.fromCharCode(98 + i)} { <<: [${Array.from({ length: 8 }, () => `*${String.fromCharCode(97 + i)}`).join(',')}] }`,
        ),
      ].join('\n'),
    ],
  ])(
    'refuses endless %s',
    async (_what, text) => {
      const result = await load(text);
      expect(result.ok).toBe(false);
    },
    20_000,
  );
});
