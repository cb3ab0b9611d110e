import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Advertisement, parseDigest, parsePackageName, parsePackageVersion } from '@pipit/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLocalAdvertiser } from '../src/local-advertiser.js';
import { callFor, canary, production, removeFolder, temporaryFolder } from './hosts-support.js';

let folder: string;
let advertiser: ReturnType<typeof createLocalAdvertiser<Record<string, never>>>;
const options = {};

beforeEach(async () => {
  folder = await temporaryFolder();
  advertiser = createLocalAdvertiser({ folder });
});
afterEach(() => removeFolder(folder));

const advertisementOf = (sequence: number): Advertisement => {
  const version = parsePackageVersion(`1.${sequence}`);
  const digest = parseDigest(`sha256:${sequence.toString(16).padStart(64, '0')}`);
  return { version, sequence, artifacts: [{ format: 'deb', name: parsePackageName('web'), version, architecture: 'all', digest }] };
};
const read = (ring = canary) => advertiser.read({ ring, options }, callFor('read'));
const write = (sequence: number, expected: string, ring = canary) =>
  advertiser.write({ ring, next: advertisementOf(sequence), expected, options }, callFor(`write ${sequence}`));

it('advertises nothing at first, then what was written, each ring by itself', async () => {
  const nothing = await read();
  expect(nothing.current).toBeUndefined();
  expect(await write(1, nothing.cursor)).toBe('written');
  expect((await read()).current).toEqual(advertisementOf(1));
  expect((await read(production)).current).toBeUndefined();
  expect((await createLocalAdvertiser({ folder }).read({ ring: canary, options }, callFor('other'))).current).toEqual(advertisementOf(1));
});

it('leaves no lock of a writer that was killed when its write was done, and none that is held is taken', async () => {
  await write(1, (await read()).cursor);
  const lock = join(folder, 'advertised/web/app/.states/canary.lock');
  const startTime = (await readFile('/proc/self/stat', 'utf8')).split(') ')[1]?.split(' ')[19];
  await writeFile(lock, `${process.pid} ${startTime}`);
  await read();
  expect(await readdir(join(lock, '..'))).toEqual(['canary', 'canary.lock']);
  // The same process id, but a process that began at another time.
  await writeFile(lock, `${process.pid} 1`);
  expect((await read()).current).toEqual(advertisementOf(1));
  expect(await readdir(join(lock, '..'))).toEqual(['canary']);
});

it('keeps the version as plain text for any tool', async () => {
  await write(1, (await read()).cursor);
  expect(await readFile(join(folder, 'advertised/web/app/canary/version'), 'utf8')).toBe('1.1\n');
});

it('refuses a write whose read is out of date, and changes nothing', async () => {
  const { cursor } = await read();
  expect(await write(1, cursor)).toBe('written');
  expect(await write(2, cursor)).toBe('conflict');
  expect((await read()).current?.sequence).toBe(1);
});

it('lets exactly one of many writers with the same cursor win', async () => {
  const { cursor } = await read();
  const others = [createLocalAdvertiser<typeof options>({ folder }), createLocalAdvertiser<typeof options>({ folder })];
  const results = await Promise.all(
    Array.from({ length: 12 }, (_, index) =>
      (others[index % 2] ?? advertiser).write(
        { ring: canary, next: advertisementOf(index + 1), expected: cursor, options },
        callFor(`w${index}`),
      ),
    ),
  );
  expect(results.filter((result) => result === 'written')).toHaveLength(1);
});

it('never shows a version and a document that disagree', async () => {
  await write(1, (await read()).cursor);
  // A shell enters the folder once and reads both files, again and again, while they change. A folder that was long replaced may vanish under it.
  const look = `cd "$1" && v=$(cat version) && d=$(cat advertisement.json) || exit 0
case $d in *"\\"version\\": \\"$v\\""*) echo same ;; *) echo "differs: $v $d" ;; esac`;
  const reader = promisify(execFile)('sh', [
    '-c',
    'for i in $(seq 100); do sh -c "$2" look "$1" 2>/dev/null; done',
    'reader',
    join(folder, 'advertised/web/app/canary'),
    look,
  ]);
  let reading = true;
  void reader.finally(() => {
    reading = false;
  });
  let writes = 0;
  for (let sequence = 2; reading; sequence += 1) {
    const { cursor, current } = await read();
    expect(current?.sequence).toBe(sequence - 1);
    expect(await write(sequence, cursor)).toBe('written');
    writes += 1;
  }
  const seen = (await reader).stdout.trim().split('\n');
  expect(new Set(seen)).toEqual(new Set(['same']));
  expect(seen.length).toBeGreaterThan(50);
  expect(writes).toBeGreaterThan(3);
  expect((await readdir(join(folder, 'advertised/web/app/.states/canary'))).length).toBeLessThanOrEqual(12);
});

it('holds a read with a cursor until somebody writes', async () => {
  const { cursor } = await read();
  const held = advertiser.read({ ring: canary, after: cursor, options }, callFor('held'));
  await write(1, cursor);
  expect((await held).current?.sequence).toBe(1);
});

it('says so when the document was edited into nonsense', async () => {
  await write(1, (await read()).cursor);
  await writeFile(join(folder, 'advertised/web/app/canary/advertisement.json'), '{"version": 1}');
  await expect(read()).rejects.toMatchObject({ code: 'ADVERTISEMENT_INVALID', recovery: 'stop' });
});
