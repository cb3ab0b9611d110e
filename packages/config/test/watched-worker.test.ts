import { describe, expect, it } from 'vitest';
import { createWatchedWorker } from '../src/watched-worker.js';

const module = new URL('./workers/odd-tasks.mjs', import.meta.url);
const signal = AbortSignal.timeout(30_000);
const task = (owner: string) => ({ owner, signal });

describe('a watched worker', () => {
  it('ends a thread that never answers, and goes on with a new one', async () => {
    const worker = createWatchedWorker({ module, deadlineMs: 500 });
    expect(await worker.run('spin', task('a'))).toEqual({ broke: 'time' });
    expect(await worker.run('more', task('a'))).toEqual({ output: 'done more' });
  });

  it('ends a thread that takes too much memory, and the process lives on', async () => {
    const worker = createWatchedWorker({ module, deadlineMs: 20_000 });
    expect(await worker.run('eat', task('a'))).toEqual({ broke: 'memory' });
  });

  it.each(['throw', 'exit'])('reports a thread that ended by itself (%s) as a fault that may pass', async (what) => {
    const worker = createWatchedWorker({ module });
    await expect(worker.run(what, task('a'))).rejects.toThrow();
    expect(await worker.run('more', task('a'))).toEqual({ output: 'done more' });
  });

  it('gives one owner one thread, so that its stuck tasks leave the others for everybody else', async () => {
    const worker = createWatchedWorker({ module, deadlineMs: 5_000, maxWorkers: 2 });
    const ends: string[] = [];
    const stuck = Array.from({ length: 3 }, () => worker.run('spin', task('bad')).then(() => ends.push('bad')));
    await Promise.all(['good', 'better'].map((owner) => worker.run(owner, task(owner)).then(() => ends.push(owner))));
    expect(ends).toEqual(['good', 'better']);
    expect(stuck).toHaveLength(3);
    await worker.run('last', task('other'));
  });

  it('ends the thread of a task that nobody waits for any more', async () => {
    const worker = createWatchedWorker({ module, maxWorkers: 1 });
    const abort = new AbortController();
    const given = worker.run('wait', { owner: 'a', signal: abort.signal });
    abort.abort(new Error('not wanted any more'));
    await expect(given).rejects.toThrow('not wanted any more');
    expect(await worker.run('more', task('b'))).toEqual({ output: 'done more' });
  });

  it('leaves the event loop to others while a thread is stuck', async () => {
    const worker = createWatchedWorker({ module, deadlineMs: 750 });
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 10);
    await worker.run('spin', task('a'));
    clearInterval(timer);
    expect(turns).toBeGreaterThan(10);
  });
});
