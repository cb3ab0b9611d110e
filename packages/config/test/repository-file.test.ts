import { parseAppName } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { createStrangersYamlParser, parseRepositoryFile } from '../src/index.js';

const app = parseAppName('web');
const yaml = createStrangersYamlParser();
const parse = (text: string) =>
  parseRepositoryFile(text, { file: 'pipit.yaml', app, parse: yaml, owner: 'web', signal: AbortSignal.timeout(20_000) });

describe('parseRepositoryFile', () => {
  it('gives the conventions for an empty file', async () => {
    expect(await parse('')).toEqual({
      ok: true,
      facts: {
        metadata: { description: 'web', depends: [], architectures: ['all'], prefix: '/opt/web', configFiles: [], services: [] },
        baseVersion: undefined,
        role: undefined,
        health: undefined,
      },
    });
  });

  it('reads services and a health check with its unit', async () => {
    const parsed = await parse('services: [web]\nhealth: { type: http, port: 8080, path: /healthz, within: 5s }\n');
    expect(parsed).toMatchObject({
      ok: true,
      facts: { metadata: { services: ['web'] }, health: { type: 'http', port: 8080, path: '/healthz', withinMs: 5000 } },
    });
  });

  it.each([
    ['hosts: [a]', 'UNKNOWN_KEY'],
    ['rings: []', 'UNKNOWN_KEY'],
    ['gates: []', 'UNKNOWN_KEY'],
    ['approval: {}', 'UNKNOWN_KEY'],
    ['prefix: /opt/../etc', 'INVALID_VALUE'],
    ['prefix: opt', 'INVALID_VALUE'],
    ['services: [-f]', 'INVALID_SERVICE'],
    ['description: "a\\nDepends: x"', 'INVALID_VALUE'],
    ['description: { $env: HOME }', 'REFERENCE_NOT_ALLOWED'],
    ['a: [', 'CONFIG_SYNTAX'],
    ['depends: [a]\ndepends: [b]', 'DUPLICATE_KEY'],
  ])('refuses %s with %s and its place', async (text, code) => {
    const parsed = await parse(text);
    expect(parsed.ok).toBe(false);
    const problems = parsed.ok ? [] : parsed.problems;
    expect(problems.map((problem) => problem.code)).toContain(code);
    expect(problems.every((problem) => problem.line >= 1 && problem.column >= 1)).toBe(true);
  });

  it('reads what people write: comments, quotes, block texts, a mark before it, and stars and ampersands in values', async () => {
    const text = `\ufeff---\n# what it is\ndescription: "Tom & Jerry * web"\ndepends:\n- 'libc6 (>= 2.36)'\n- a | b\nhealth:\n  type: command\n  argv:\n    - "&x"\n    - "*y"\n    - "!z"\n    - |\n      a\n      *b &c !d\n`;
    expect(await parse(text)).toMatchObject({
      ok: true,
      facts: {
        metadata: { description: 'Tom & Jerry * web', depends: ['libc6 (>= 2.36)', 'a | b'] },
        health: { argv: ['&x', '*y', '!z', 'a\n*b &c !d\n'] },
      },
    });
  });
});

const quadraticAliases = `a: &a ${'x'.repeat(10)}\nb:\n${'- *a\n'.repeat(10_000)}`;
const mergeBomb = ['a0: &a0 { x: 1 }', ...Array.from({ length: 25 }, (_, at) => `a${at + 1}: &a${at + 1} { <<: [*a${at}, *a${at}] }`)].join(
  '\n',
);
const laughs = ['a: &a [x,x]', ...Array.from({ length: 20 }, (_, at) => `b${at}: &b${at} [*a,*a,*a]`)].join('\n');
const long = (piece: string): string => piece.repeat(Math.floor(65_536 / piece.length));

describe('a hostile pipit.yaml', () => {
  it.each([
    ['aliases whose resolution is quadratic', quadraticAliases, 'YAML_NOT_ALLOWED'],
    ['merge keys that double', mergeBomb, 'YAML_NOT_ALLOWED'],
    ['a billion laughs', laughs, 'YAML_NOT_ALLOWED'],
    ['a merge key without an alias', '<<: { description: a }\n', 'YAML_NOT_ALLOWED'],
    ['a quoted merge key', '"<<": { description: a }\n', 'YAML_NOT_ALLOWED'],
    [
      'ten thousand anchors',
      Array.from({ length: 5_000 }, (_, at) => `k${at}: &a${at} 1`)
        .join('\n')
        .slice(0, 65_536),
      'YAML_NOT_ALLOWED',
    ],
    ['an anchor on a key', '? &a description\n: x\n', 'YAML_NOT_ALLOWED'],
    ['a tag', 'description: !!js/function "x"\n', 'YAML_NOT_ALLOWED'],
    ['a tag of one character', '! a\n', 'YAML_NOT_ALLOWED'],
    ['a directive', '%YAML 1.1\n---\ndescription: a\n', 'YAML_NOT_ALLOWED'],
    ['a merge of YAML 1.1', '%YAML 1.1\n---\na: &a {b: 1}\nc:\n  <<: *a\n', 'YAML_NOT_ALLOWED'],
    ['nested lists', long('['), 'CONFIG_TOO_LARGE'],
    ['nested mappings', long('{a: '), 'CONFIG_TOO_LARGE'],
    ['nested dashes', long('- '), 'CONFIG_TOO_LARGE'],
    ['nested question marks', long('? '), 'CONFIG_TOO_LARGE'],
    ['nested lists in question marks', long('? ['), 'CONFIG_TOO_LARGE'],
    ['nesting by indentation', Array.from({ length: 300 }, (_, at) => `${' '.repeat(at)}a:`).join('\n'), 'CONFIG_TOO_LARGE'],
    ['seventeen levels', Array.from({ length: 20 }, (_, at) => `${' '.repeat(at)}a:`).join('\n'), 'CONFIG_TOO_LARGE'],
    ['many short keys', Array.from({ length: 9_000 }, (_, at) => `${at}:`).join('\n'), 'CONFIG_TOO_LARGE'],
    ['many values', `depends: [${'a,'.repeat(32_000)}]`, 'CONFIG_TOO_LARGE'],
    ['a list of ten thousand strangers', `depends: [${'"",'.repeat(2_000)}]`, 'INVALID_VALUE'],
    ['one key of 60,000 characters', `${'k'.repeat(60_000)}: 1`, undefined],
    ['one text of 60,000 characters', `description: ${'k'.repeat(60_000)}`, 'INVALID_VALUE'],
    ['a path of 60,000 characters', `prefix: ${'/.'.repeat(30_000)}`, 'INVALID_VALUE'],
    ['the same key 5,000 times', 'description: a\n'.repeat(4_000), undefined],
    ['one key too often', 'description: a\n'.repeat(500), 'DUPLICATE_KEY'],
    ['an unfinished quote', `description: ${long('"\\')}`.slice(0, 65_536), undefined],
    ['many unfinished quotes', long('"\n'), undefined],
    ['many tabs', `a:${long('\t')}`.slice(0, 65_536), undefined],
    ['many comments', `a: 1${long(' #')}`.slice(0, 65_536), undefined],
    ['many documents', long('---\n'), undefined],
    ['many block scalars', long('- |\n'), undefined],
    ['commas', `[${long(',')}`.slice(0, 65_536), undefined],
    ['colons', long(':\n'), undefined],
    ['spaces at the end of lines', long(`a${' '.repeat(500)}\n`), undefined],
    ['64 KiB and one byte', `description: ${'k'.repeat(65_536)}`, 'CONFIG_TOO_LARGE'],
    ['64 KiB of three-byte characters', '\u20ac'.repeat(30_000), 'CONFIG_TOO_LARGE'],
    ['a NUL', 'description: a\0b\n', 'CONFIG_SYNTAX'],
    ['an escape', 'description: \u001b[31m\n', 'CONFIG_SYNTAX'],
    ['bytes that are no UTF-8', Buffer.from([0x61, 0x3a, 0x20, 0xff, 0xfe]).toString('utf8'), 'CONFIG_SYNTAX'],
    ['half a character', 'description: "\ud800"\n', 'CONFIG_SYNTAX'],
    ['a mark inside', 'description: a\ufeffb\n', 'CONFIG_SYNTAX'],
    ['a prototype', '__proto__: { description: a }\n', 'KEY_NOT_ALLOWED'],
    ['a key that is a list', '? [a]\n: 1\n', 'KEY_NOT_ALLOWED'],
    ['a reference to a file', 'description: { $file: /etc/passwd }', 'REFERENCE_NOT_ALLOWED'],
  ])('refuses %s', async (_what, text, code) => {
    const parsed = await parse(text);
    expect(parsed).toMatchObject({ ok: false, brokeParser: false });
    const problems = parsed.ok ? [] : parsed.problems;
    if (code !== undefined) expect(problems.map((problem) => problem.code)).toContain(code);
    expect(problems.length).toBeLessThanOrEqual(20);
  });
});
