import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLab, labUnavailable, openLab, takeDownLab } from '../src/index.js';
import { readLabRecord } from '../src/lab-state.js';
import { labTraces } from './lab-traces.js';

const unavailable = await labUnavailable();

/** A process that makes a lab and then waits for its end, built from the sources as they are. */
const MAKER = `
import { createLab } from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};
await createLab({ folder: process.argv[1], hosts: [{ name: 'one' }, { name: 'two' }] });
console.log('up');
setInterval(() => undefined, 1000);
`;

const waitUntil = (holds: () => Promise<boolean>): Promise<boolean> => vi.waitUntil(holds, { timeout: 60_000, interval: 50 });

describe('the end of a lab', { timeout: 180_000 }, () => {
  let folder = '';

  beforeAll(async () => {
    if (unavailable !== undefined) return;
    folder = await mkdtemp(join(tmpdir(), 'pipit-lab-end-'));
  });

  afterAll(async () => {
    if (folder !== '') await rm(folder, { recursive: true });
  });

  beforeEach(({ skip }) => skip(unavailable !== undefined, unavailable));

  const killMaker = async (name: string, when: (lab: string) => Promise<boolean>): Promise<readonly string[]> => {
    const lab = join(folder, name);
    const maker = spawn(process.execPath, ['--input-type=module', '--eval', MAKER, lab], { stdio: ['ignore', 'ignore', 'inherit'] });
    const ended = once(maker, 'exit');
    await waitUntil(() => when(lab));
    const traces = await labTraces(lab);
    maker.kill('SIGKILL');
    await ended;
    await waitUntil(async () => (await traces()).length === 0);
    return traces();
  };

  it('leaves nothing when its owner is killed while it is up', async () => {
    const isUp = async (lab: string) => {
      const found = await openLab(lab).catch(() => undefined);
      return found !== undefined && (await found.host('two').pid()) !== undefined;
    };
    expect(await killMaker('up', isUp)).toEqual([]);
  });

  it('leaves nothing when its owner is killed in the middle of bringing it up', async () => {
    expect(await killMaker('middle', async (lab) => (await readLabRecord(lab))?.bridge.startsWith('plab') === true)).toEqual([]);
  });

  it('leaves nothing when it is interrupted', async () => {
    const lab = join(folder, 'interrupted');
    const stopping = new AbortController();
    const coming = createLab({ folder: lab, hosts: [{ name: 'one' }], signal: stopping.signal });
    await waitUntil(async () => (await readLabRecord(lab))?.bridge.startsWith('plab') === true);
    const traces = await labTraces(lab);
    stopping.abort(new Error('interrupted'));
    await expect(coming).rejects.toThrow('interrupted');
    expect(await traces()).toEqual([]);
  });

  it('is there for another process when it was kept, and two labs get networks of their own', async () => {
    const lab = join(folder, 'kept');
    const other = join(folder, 'other');
    try {
      const [kept, second] = await Promise.all([
        createLab({ folder: lab, hosts: [{ name: 'one' }], outlives: true }),
        createLab({ folder: other, hosts: [{ name: 'one' }] }),
      ]);
      expect(kept.subnet).not.toBe(second.subnet);
      await expect(createLab({ folder: lab, hosts: [{ name: 'one' }] })).rejects.toThrow('holds a lab already');
    } finally {
      await Promise.all([takeDownLab(lab), takeDownLab(other)]);
    }
    expect(await openLab(lab)).toBeUndefined();
  });
});
