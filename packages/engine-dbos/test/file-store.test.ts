import { createHash } from 'node:crypto';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoredFile } from '@pipit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createFileStore } from '../src/index.js';
import { buildProgram, runProgram } from './support/program.js';
import { temporaryFolder } from './support/temporary-folder.js';

const HOUR_MS = 3_600_000;
const manualClock = () => {
  let now = Date.parse('2026-01-01T00:00:00Z');
  return {
    now: () => new Date(now),
    advance: (ms: number) => {
      now += ms;
    },
  };
};

async function* chunks(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text);
}

const readAll = async (content: AsyncIterable<Uint8Array>): Promise<string> => {
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces).toString();
};

const filesIn = async (folder: string): Promise<readonly string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

const pathOf = (folder: string, { sha256 }: StoredFile): string => {
  const hex = sha256.slice(7);
  return join(folder, hex.slice(0, 2), hex.slice(2, 4), hex);
};

describe('createFileStore', () => {
  it('measures what passes and gives it back', async () => {
    const store = createFileStore({ folder: await temporaryFolder(), clock: manualClock() });
    const stored = await store.put(chunks('hello ', '', 'world'));
    expect(stored).toEqual({ sha256: `sha256:${createHash('sha256').update('hello world').digest('hex')}`, size: 11 });
    expect(await readAll(store.get(stored))).toBe('hello world');
  });

  it('keeps bytes larger than a buffer whole', async () => {
    const store = createFileStore({ folder: await temporaryFolder(), clock: manualClock() });
    const text = 'pipit'.repeat(500_000);
    expect(await readAll(store.get(await store.put(chunks(text))))).toBe(text);
  });

  it('keeps equal bytes once, also when they come at the same time', async () => {
    const folder = await temporaryFolder();
    const store = createFileStore({ folder, clock: manualClock() });
    const stored = await Promise.all(Array.from({ length: 20 }, () => store.put(chunks('same'))));
    expect(new Set(stored.map((file) => file.sha256)).size).toBe(1);
    expect(await filesIn(folder)).toHaveLength(1);
  });

  it('leaves nothing when the content breaks off', async () => {
    const folder = await temporaryFolder();
    const broken = async function* () {
      yield Buffer.from('half');
      throw new Error('cut');
    };
    await expect(createFileStore({ folder, clock: manualClock() }).put(broken())).rejects.toThrow('cut');
    expect(await filesIn(folder)).toEqual([]);
  });

  it('takes a file up to its limit, and leaves nothing of a larger one, however long that would go on', async () => {
    const folder = await temporaryFolder();
    const store = createFileStore({ folder, clock: manualClock(), maxFileBytes: 10 });
    const stored = await store.put(chunks('12345', '67890'));
    let given = 0;
    const endless = async function* () {
      for (; ; given += 1) yield Buffer.from('zeros');
    };
    await expect(store.put(endless())).rejects.toMatchObject({ code: 'FILE_TOO_LARGE', recovery: 'stop' });
    expect(given).toBeLessThan(5);
    expect(await filesIn(folder)).toEqual([pathOf(folder, stored)]);
  });

  it('takes back what a failed effect stored, and nothing that anybody else stored before or since', async () => {
    const folder = await temporaryFolder();
    const store = createFileStore({ folder, clock: manualClock() });
    const before = await store.put(chunks('before'));
    const { files, takeBack } = store.tentative();
    await files.put(chunks('before'));
    await files.put(chunks('mine'));
    const since = await files.put(chunks('since'));
    await store.put(chunks('since'));
    await takeBack();
    await takeBack();
    expect(new Set(await filesIn(folder))).toEqual(new Set([before, since].map((file) => pathOf(folder, file))));
  });

  it('says that bytes are not stored', async () => {
    const store = createFileStore({ folder: await temporaryFolder(), clock: manualClock() });
    await expect(readAll(store.get({ sha256: `sha256:${'a'.repeat(64)}`, size: 1 }))).rejects.toMatchObject({
      code: 'FILE_NOT_STORED',
      recovery: 'stop',
    });
  });

  it('never builds a path from what is not a digest', async () => {
    const store = createFileStore({ folder: await temporaryFolder(), clock: manualClock() });
    await expect(readAll(store.get({ sha256: 'sha256:../../etc/passwd', size: 1 }))).rejects.toMatchObject({ code: 'INVALID_DIGEST' });
  });

  it.each(['changed', 'hell', 'hello and more'])('notices that bytes became %j, and heals them by the next put', async (text) => {
    const folder = await temporaryFolder();
    const store = createFileStore({ folder, clock: manualClock() });
    const stored = await store.put(chunks('hello'));
    await writeFile(pathOf(folder, stored), text);
    await expect(readAll(store.get(stored))).rejects.toMatchObject({ code: 'FILE_CORRUPT', recovery: 'stop' });
    await store.put(chunks('hello'));
    expect(await readAll(store.get(stored))).toBe('hello');
  });

  it('sweeps what nothing refers to once it is old, and nothing else', async () => {
    const folder = await temporaryFolder();
    const clock = manualClock();
    const store = createFileStore({ folder, clock });
    const [kept, dropped] = [await store.put(chunks('kept')), await store.put(chunks('dropped'))];
    const sweep = () => store.sweep({ keep: async (digest) => digest === kept.sha256, olderThanMs: HOUR_MS });
    expect(await sweep()).toEqual({ removedFiles: 0, freedBytes: 0 });
    clock.advance(2 * HOUR_MS);
    const young = await store.put(chunks('young'));
    expect(await sweep()).toEqual({ removedFiles: 1, freedBytes: 7 });
    await expect(readAll(store.get(dropped))).rejects.toMatchObject({ code: 'FILE_NOT_STORED' });
    expect([await readAll(store.get(kept)), await readAll(store.get(young))]).toEqual(['kept', 'young']);
  });

  it('does not sweep old bytes that were just put again', async () => {
    const clock = manualClock();
    const store = createFileStore({ folder: await temporaryFolder(), clock });
    const stored = await store.put(chunks('again'));
    clock.advance(2 * HOUR_MS);
    let putAgain: Promise<unknown> = Promise.resolve();
    await store.sweep({
      keep: async () => {
        // The file looked old when the sweep asked; it is put again before the sweep acts on the answer.
        putAgain = store.put(chunks('again'));
        await putAgain;
        return false;
      },
      olderThanMs: HOUR_MS,
    });
    await putAgain;
    expect(await readAll(store.get(stored))).toBe('again');
  });

  it('survives puts, reads and sweeps at the same time', async () => {
    const clock = manualClock();
    const store = createFileStore({ folder: await temporaryFolder(), clock });
    const worker = async (seed: number): Promise<void> => {
      for (let turn = 0; turn < 20; turn += 1) {
        const text = `text ${(seed + turn) % 5}`;
        const stored = await store.put(chunks(text));
        expect(await readAll(store.get(stored))).toBe(text);
      }
    };
    await Promise.all([
      ...[1, 2, 3, 4].map(worker),
      (async () => {
        for (let turn = 0; turn < 30; turn += 1) await store.sweep({ keep: () => false, olderThanMs: HOUR_MS });
      })(),
    ]);
  });

  describe('when its process is killed while it writes', () => {
    let program: Awaited<ReturnType<typeof buildProgram>>;
    beforeAll(async () => {
      program = await buildProgram('data-folder');
    });
    afterAll(() => program.remove());

    it('leaves a temporary file only, which a later sweep removes', async () => {
      const folder = await temporaryFolder();
      const writer = runProgram(program.path, ['put', folder]);
      await writer.next('writing');
      await writer.killHard();
      const left = await filesIn(folder);
      expect(left).toHaveLength(1);
      expect(left[0]).toMatch(/\/tmp\/[^/]+$/);
      expect((await stat(left[0] ?? '')).size).toBeGreaterThan(0);
      const store = createFileStore({ folder, clock: { now: () => new Date(Date.now() + 2 * HOUR_MS) } });
      expect(await store.sweep({ keep: () => true, olderThanMs: HOUR_MS })).toMatchObject({ removedFiles: 1 });
      expect(await filesIn(folder)).toEqual([]);
    });
  });
});
