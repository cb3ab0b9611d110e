import type { Op, Services, TaskState } from '@pipit/core';
import { expect, it } from 'vitest';
import { followTask } from '../src/operations/follow-task.js';
import type { OperationPorts } from '../src/operations/operation-ports.js';
import type { StepTools } from '../src/operations/run-step.js';

/** Holds back what ends in a `<` that has no `>` yet, as a redactor holds back half a secret. */
const openLog = () => {
  let held = '';
  const take = (from: number): string => {
    const shown = held.slice(0, from).replace(/<[^>]*>/g, '[secret]');
    held = held.slice(from);
    return shown;
  };
  return {
    write: (piece: string) => {
      held += piece;
      const open = held.lastIndexOf('<');
      return take(open > held.lastIndexOf('>') ? open : held.length);
    },
    flush: () => take(held.length),
  };
};

const follow = async (pieces: readonly string[], ends: TaskState<string>) => {
  const logged: string[] = [];
  let asked = 0;
  const ports = { effects: { openLog }, clock: { sleep: async () => undefined }, random: () => 0.5 };
  const tools = {
    signal: new AbortController().signal,
    log: (text: string) => logged.push(text),
    report: () => undefined,
    isCancelled: async () => false,
    effect: (_options: unknown, work: (op: Op<keyof Services>) => Promise<unknown>) => work({} as Op<keyof Services>), // unused
  };
  const task = {
    inspect: async () => (asked < pieces.length - 1 ? ({ state: 'running' } as const) : ends),
    readLog: async () => {
      asked += 1;
      return { text: pieces[asked - 1] ?? '', cursor: String(asked) };
    },
  };
  const followed = followTask(ports as unknown as OperationPorts, tools as unknown as StepTools, task, {
    effect: { part: { instance: 'ci' }, folder: 'none' },
    started: { handle: '1', request: {} },
    cancellable: false,
  });
  await followed.catch(() => undefined);
  return logged;
};

it('looks through the log of a task as one stream, however often it is read', async () => {
  const ended = { state: 'ended', result: 'passed' } as const;
  expect(await follow(['a <hun', 'ter', '2> b', ' <end'], ended)).toEqual(['a ', '[secret] b', ' ', '<end']);
});

it('shows what it held back also when the task was lost', async () => {
  expect(await follow(['a <hun', 'ter'], { state: 'lost', reason: 'gone' })).toEqual(['a ', '<hunter']);
});
