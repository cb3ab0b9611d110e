import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  isPluginError,
  parseAppName,
  parseCommitSha,
  parseDigest,
  parseHostAddress,
  parsePackageName,
  parsePackageVersion,
  parseRefName,
  parseRingName,
  parseRoleName,
  parseUnitName,
} from '../src/index.js';

interface Table {
  readonly parse: (text: string) => string;
  readonly code: string;
  readonly good: readonly string[];
  readonly bad: readonly string[];
}

/** Refused by every parser: what could be taken for an option, end a line, leave a folder or a quotation, or look like something else. */
const ALWAYS_BAD = [
  '',
  '-',
  '-a',
  '--help',
  ' a',
  'a b',
  'a\n',
  'a\nb',
  'a\0',
  'a\u007f',
  '\u001b[31m',
  "a'b",
  'a"b',
  'a`b',
  '$(id)',
  'a;b',
  'a|b',
  'a\\b',
  '../a',
  'wéb',
  'ｗeb',
  'a\u202eb',
  'a\u00a0b',
  'a\u2028b',
];

const TABLES: Readonly<Record<string, Table>> = {
  commit: {
    parse: parseCommitSha,
    code: 'INVALID_COMMIT',
    good: ['a'.repeat(40), '0123456789abcdef'.repeat(4)],
    bad: ['a'.repeat(39), 'a'.repeat(41), 'A'.repeat(40), 'g'.repeat(40), 'main'],
  },
  ref: {
    parse: parseRefName,
    code: 'INVALID_REF',
    good: [
      'refs/heads/main',
      'refs/heads/feature/login',
      'refs/tags/v1.0',
      'refs/heads/-dash',
      'refs/heads/wéb',
      'refs/heads/a@b',
      'refs/heads/a;b',
    ],
    bad: [
      'main',
      'heads/main',
      'refs/',
      'refs/heads/',
      'refs/heads/a..b',
      'refs/heads/.a',
      'refs/heads//a',
      'refs/heads/a.lock',
      'refs/heads/a.lock/b',
      'refs/heads/a.',
      'refs/heads/a@{1}',
      'refs/heads/a~1',
      'refs/heads/a^',
      'refs/heads/a:b',
      'refs/heads/a?',
      'refs/heads/a*',
      'refs/heads/[a',
      'refs/heads/a\\b',
      'refs/heads/a b',
      'refs/heads/a\tb',
      'refs/heads/a\u0001',
      'refs/heads/a\u0085',
      'refs/heads/a\u00a0b',
      'refs/heads/a\u202eb',
      'refs/heads/a\ud800',
      `refs/heads/it's`,
      'refs/heads/"a"',
      'refs/heads/`id`',
      `refs/heads/${'a'.repeat(1_020)}`,
    ],
  },
  app: {
    parse: parseAppName,
    code: 'INVALID_APP',
    good: ['web', 'web-2', 'lib.so+x', '0ad', 'a'.repeat(100)],
    bad: ['a', 'Web', 'web_2', 'acme/web', '.web', '+web', 'a'.repeat(101)],
  },
  role: { parse: parseRoleName, code: 'INVALID_ROLE', good: ['app', 'w', 'db-1'], bad: ['App', 'db.1', 'db_1', 'a/b', 'a'.repeat(61)] },
  ring: {
    parse: parseRingName,
    code: 'INVALID_RING',
    good: ['canary', 'production', 'ring-2'],
    bad: ['Canary', 'a.b', 'a_b', 'a:b', 'a'.repeat(61)],
  },
  address: {
    parse: parseHostAddress,
    code: 'INVALID_ADDRESS',
    good: ['web1', 'web1.example.org', '10.0.0.1', '::1', 'fe80::1', '2001:db8::a:1', '::ffff:10.0.0.1'],
    bad: ['web1.', '.web1', 'web-', 'user@web1', 'web1:22', 'fe80::1%eth0', '[::1]', 'a/b', 'a'.repeat(254)],
  },
  packageName: {
    parse: parsePackageName,
    code: 'INVALID_PACKAGE_NAME',
    good: ['web', 'g++', 'libc6'],
    bad: ['a', 'Web', 'a_b', 'a/b', 'web=1', 'a'.repeat(101)],
  },
  version: {
    parse: parsePackageVersion,
    code: 'INVALID_VERSION',
    good: ['1', '1.0', '1.0~rc1-20260101000000.abcdef0', '2.0+r2', '1-1'],
    bad: ['v1', 'rc1', '1:1.0', '1_0', '1/0', `1${'0'.repeat(200)}`],
  },
  service: {
    parse: parseUnitName,
    code: 'INVALID_SERVICE',
    good: ['web', 'web.service', 'web@1.service', 'a:b', '_web'],
    bad: ['.web', '@web', 'a/b', 'web*', 'a'.repeat(201)],
  },
  digest: {
    parse: parseDigest,
    code: 'INVALID_DIGEST',
    good: [`sha256:${'a'.repeat(64)}`],
    bad: ['a'.repeat(64), `sha256:${'a'.repeat(63)}`, `sha256:${'A'.repeat(64)}`, `sha512:${'a'.repeat(64)}`, `sha256:${'a'.repeat(65)}`],
  },
};

const refusalOf = (parse: Table['parse'], text: string): unknown => {
  try {
    return `accepted as ${parse(text)}`;
  } catch (error) {
    return error;
  }
};

describe.each(Object.entries(TABLES))('the parser of %s', (_name, { parse, code, good, bad }) => {
  it.each(good)('accepts %j unchanged', (text) => {
    expect(parse(text)).toBe(text);
  });

  it.each([...new Set([...bad, ...ALWAYS_BAD])])('refuses %j', (text) => {
    const error = refusalOf(parse, text);
    expect(isPluginError(error) ? { code: error.code, recovery: error.recovery } : error).toEqual({ code, recovery: 'stop' });
  });

  it('says what it was given and what it expected, without control characters and at most 200 characters of it', () => {
    const error = refusalOf(parse, `\u001b\n${'x'.repeat(5_000)}`);
    if (!isPluginError(error)) throw error;
    expect(error.message).toContain(JSON.stringify('\u001b\n').slice(1, -1));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(error.message).not.toMatch(/[\x00-\x1f]/);
    expect(error.message.length).toBeLessThan(300);
    expect(error.hint).toMatch(/^Expected /);
  });

  it('accepts nothing that begins with "-" or holds a control character, a space or a quote', () => {
    const start = good[0] ?? '';
    // Near misses: a good text with a piece of anything put in somewhere.
    const nearMiss = fc
      .tuple(
        fc.constantFrom(...good),
        fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('-', ' ', '\n', '"', "'", '`', '\0', '\u0085')),
        fc.nat(70),
      )
      .map(([text, piece, at]) => text.slice(0, at) + piece + text.slice(at));
    fc.assert(
      fc.property(fc.oneof(nearMiss, fc.string({ unit: 'binary' }), fc.string()), (text) => {
        if (isPluginError(refusalOf(parse, text))) return;
        expect(text.startsWith('-')).toBe(false);
        expect(text).not.toMatch(/[\p{Cc}\s'"`]/u);
      }),
      { numRuns: 3_000, examples: [[start], [`${start}"`], [`-${start}`], [`${start}\u0085`]] },
    );
  });
});
