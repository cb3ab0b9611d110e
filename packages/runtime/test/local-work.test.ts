import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Call, Sandbox } from '@pipit/core';
import { createMemoryRecords, type EffectRequest, type OperationId } from '@pipit/pipeline';
import { minimalEnvironment } from '@pipit/plugin-kit';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLocalFolders } from '../src/work/local-folders.js';

/** Confines nothing: what these tests run, they wrote. */
const sandbox: Sandbox = {
  mode: 'user',
  gaps: [{ name: 'files', detail: 'everything can be read', hint: 'apt-get install bubblewrap' }],
  confine: (argv, { folder, env }) => ({ argv, env: { ...minimalEnvironment(folder), ...env } }),
  giveFolder: async () => undefined,
};

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const call: Call = {
  signal: new AbortController().signal,
  deadline: new Date(),
  logger: silent,
  clock: { now: () => new Date() },
  random: () => 0,
};

/** No command is run here. */
const openOutput = () => ({ write: () => undefined, end: () => undefined });

const request = (run: string, stage: string): EffectRequest => ({
  part: { instance: 'local' },
  operationId: `${run}:${stage}:1` as OperationId, // any will do: no row of an operation is read
  step: stage,
  key: `${run}:${stage}:1:${stage}:1`,
  attempt: 1,
  commit: undefined,
  folder: 'attempt',
  deadlineMs: 20_000,
  signal: call.signal,
  onReport: () => undefined,
  onOutput: () => undefined,
});

let folder: string;
let folders: ReturnType<typeof createLocalFolders>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pipit-local-work-'));
  folders = createLocalFolders({ records: createMemoryRecords(), sandbox, folder, maxFileBytes: 1024 ** 3 });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('says once in the log of each run what the sandbox cannot do', async () => {
  const log: string[] = [];
  const onOutput = (text: string) => void log.push(text);
  for (const [run, stage] of [['web-1', 'build'], ['web-1', 'package'], ['web-2', 'build']] as const) // biome-ignore format: a table
    await folders.prepare({ request: { ...request(run, stage), onOutput }, call, openOutput });
  expect(log).toEqual(Array(2).fill('pipit: sandbox, files: everything can be read\n'));
});
