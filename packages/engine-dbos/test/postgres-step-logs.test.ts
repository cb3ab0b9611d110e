import { createMemoryStepLogs, type StepLogs } from '@pipit/pipeline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createPostgresStepLogs } from '../src/index.js';
import { openDatabase, useDatabases } from './support/databases.js';

const databases = useDatabases();
const at = '2026-01-02T03:04:05.678Z';
const open = async (options?: { maxOperationBytes: number }): Promise<StepLogs> => {
  const opened = await openDatabase(await databases.migrated());
  onTestFinished(() => opened.close());
  return createPostgresStepLogs(opened, options);
};
const textsOf = async (logs: StepLogs, step: Parameters<StepLogs['read']>[0], options?: Parameters<StepLogs['read']>[1]) => {
  const { pieces, truncated } = await logs.read(step, options);
  return { texts: pieces.map((piece) => piece.text), truncated };
};

describe.each([
  ['in memory', async () => createMemoryStepLogs()],
  ['on PostgreSQL', () => open()],
])('step logs %s', (_name, create) => {
  it('give back pieces in order with their step, number and time', async () => {
    const logs = await create();
    await logs.append({ operationId: 'o', step: 'build' }, 'one\n', at);
    await logs.append({ operationId: 'o', step: 'test' }, 'two ä\n', at);
    await logs.append({ operationId: 'other', step: 'build' }, 'not ours', at);
    expect(await logs.read({ operationId: 'o' })).toEqual({
      pieces: [
        { step: 'build', sequence: 1, at, text: 'one\n' },
        { step: 'test', sequence: 2, at, text: 'two ä\n' },
      ],
      truncated: false,
    });
    expect(await textsOf(logs, { operationId: 'o', step: 'test' })).toEqual({ texts: ['two ä\n'], truncated: false });
    expect(await textsOf(logs, { operationId: 'o' }, { after: 1 })).toEqual({ texts: ['two ä\n'], truncated: false });
    expect(await textsOf(logs, { operationId: 'none' })).toEqual({ texts: [], truncated: false });
  });

  it('show the tail, and say that there was more', async () => {
    const logs = await create();
    for (const text of ['aaaa', 'bbbb', 'cccc']) await logs.append({ operationId: 'o', step: 's' }, text, at);
    expect(await textsOf(logs, { operationId: 'o' }, { maxBytes: 8 })).toEqual({ texts: ['bbbb', 'cccc'], truncated: true });
    expect(await textsOf(logs, { operationId: 'o' }, { maxBytes: 12 })).toEqual({ texts: ['aaaa', 'bbbb', 'cccc'], truncated: false });
  });
});

describe('step logs on PostgreSQL', () => {
  it('show the end of a piece that is longer than what was asked for, cut between characters', async () => {
    const logs = await open();
    await logs.append({ operationId: 'o', step: 's' }, `${'x'.repeat(100)}ääää`, at);
    expect(await textsOf(logs, { operationId: 'o' }, { maxBytes: 5 })).toEqual({ texts: ['ää'], truncated: true });
  });

  it('keep the tail within the cap, and say that the beginning is gone', async () => {
    const logs = await open({ maxOperationBytes: 1_000 });
    for (let index = 1; index <= 128; index += 1) await logs.append({ operationId: 'o', step: 's' }, `${index}`.padStart(100, '.'), at);
    const { pieces, truncated } = await logs.read({ operationId: 'o' });
    expect(pieces.map((piece) => piece.sequence)).toEqual([119, 120, 121, 122, 123, 124, 125, 126, 127, 128]);
    expect(truncated).toBe(true);
    expect((await logs.read({ operationId: 'o' }, { after: 3 })).truncated).toBe(true);
    expect((await logs.read({ operationId: 'o' }, { after: 120 })).truncated).toBe(false);
  });

  it('take pieces that come at the same time, each with a number of its own', async () => {
    const logs = await open();
    await Promise.all(Array.from({ length: 20 }, (_none, index) => logs.append({ operationId: 'o', step: 's' }, `${index}`, at)));
    const { pieces } = await logs.read({ operationId: 'o' });
    expect(pieces.map((piece) => piece.sequence)).toEqual(Array.from({ length: 20 }, (_none, index) => index + 1));
  });

  it('keep a text with a zero character', async () => {
    const logs = await open();
    await logs.append({ operationId: 'o', step: 's' }, 'a\0b', at);
    expect(await textsOf(logs, { operationId: 'o' })).toEqual({ texts: ['a\uFFFDb'], truncated: false });
  });
});
