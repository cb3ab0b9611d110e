import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { gzipSync } from 'node:zlib';
import { parsePackageName } from '@pipit/core';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createOutputTail } from '../src/command/output-tail.js';
import { describeIssues, parseHostLaunch, parseHostLook, parseHostOutcome, readSuite, requestHttp } from '../src/index.js';

/** Without limits, some of these take minutes or all memory; with them, each takes a fraction of a second. */
const GENEROUS_MS = 20_000;

const names = [parsePackageName('web'), parsePackageName('api')];
const look = (...lines: readonly string[]): string => `look 1\n${lines.join('')}log\n`;

it.each([
  ['a package of a name again and again', look('package web install installed 1\n'.repeat(40_000))],
  ['holds and packages, each with each', look('package web install installed 1\n'.repeat(20_000), 'held api\n'.repeat(60_000))],
  ['half-way packages without end', look('broken x\n'.repeat(100_000))],
])('refuses a host that says %s', { timeout: GENEROUS_MS }, (_what, text) => {
  expect(() => parseHostLook(text, names)).toThrow(expect.objectContaining({ code: 'HOST_LOOK_BROKEN' }));
});

it("keeps a host's words short, wherever they stand", () => {
  const long = 'x'.repeat(500_000);
  const found = [
    parseHostLook(look(`healthy no ${long}\n`, `busy ${long}\n`, `broken ${long}\n`, `foreign web ${long}\n`), names),
    parseHostOutcome(JSON.stringify({ state: 'failed', code: 'HOST_BUSY', message: long, foreign: { name: 'web', version: long } })),
    parseHostLaunch(`launch refused ${long}\n`),
  ];
  for (const each of found) expect(JSON.stringify(each).length).toBeLessThan(20_000);
});

it.each([['['.repeat(500_000)], [`${'['.repeat(500_000)}${']'.repeat(500_000)}`], [`{"present":${'{"a":'.repeat(100_000)}1`]])(
  'takes a deep outcome for none',
  (text) => {
    expect(parseHostOutcome(text)).toMatchObject({ state: 'failed', error: { code: 'HOST_SCRIPT_BROKEN' } });
  },
);

it('keeps the end of what is printed byte by byte', { timeout: GENEROUS_MS }, () => {
  const tail = createOutputTail();
  const bytes = [Buffer.from('a'), Buffer.from('b')] as const;
  for (let at = 0; at < 1_100_000; at += 1) tail.add(bytes[at < 1_000_000 ? 0 : 1]);
  expect(tail.text().length).toBe(1024 * 1024);
  expect(tail.text().endsWith('b'.repeat(100_000))).toBe(true);
});

it('describes some of many issues', () => {
  const issues = Array.from({ length: 10_000 }, (_each, index) => ({ path: ['x'.repeat(5_000), index], message: 'wrong' }));
  expect(describeIssues({ issues }).length).toBeLessThan(2_000);
});

describe('a suite of packages', () => {
  const shell = {
    folder: '/nowhere',
    run: () => Promise.reject(new Error('not run')),
    write: () => Promise.reject(new Error('not written')),
  };
  const read = (inRelease: string, index: Uint8Array = Buffer.of()) =>
    readSuite({
      suite: 'web',
      shell,
      tree: { place: 'here', read: (path) => Promise.resolve(path.endsWith('InRelease') ? Buffer.from(inRelease) : index) },
    });
  const signed = (text: string): string =>
    `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n${text}\n-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n`;

  it.each([
    ['marks without an end', '-----BEGIN PGP SIGNED MESSAGE-----\n'.repeat(100_000)],
    ['a field of spaces', signed(`Architectures:${' '.repeat(1_000_000)}x\ry`)],
    ['an entry of spaces', signed(`SHA256:\n ${' '.repeat(1_000_000)}x`)],
  ])('is read with %s', { timeout: GENEROUS_MS }, async (_what, inRelease) => {
    await expect(read(inRelease)).resolves.toMatchObject({ state: 'readable', packages: [] });
  });

  it('is refused when a small index unpacks to a huge one', { timeout: GENEROUS_MS }, async () => {
    // A gzip may have several members, one behind the other.
    const member = gzipSync(Buffer.alloc(16 * 1024 * 1024));
    const bomb = Buffer.concat(Array.from({ length: 20 }, () => member));
    const digest = createHash('sha256').update(bomb).digest('hex');
    const inRelease = signed(`Architectures: amd64\nSHA256:\n ${digest} ${bomb.length} main/binary-amd64/Packages.gz`);
    await expect(read(inRelease, bomb)).rejects.toMatchObject({ code: 'REPOSITORY_INDEX_TOO_LARGE' });
  });
});

it('gives no JSON of millions of values to a schema', async () => {
  const server = createServer((_request, response) => response.end(`[${'0,'.repeat(1_000_000)}0]`)).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const answer = await requestHttp({ url: `http://127.0.0.1:${port}/` });
  expect(() => answer.json()).toThrow(RangeError);
});
