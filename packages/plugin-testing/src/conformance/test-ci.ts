import type { BuildRequest, BuildResult, Ci } from '@pipit/core';
import { expect } from 'vitest';
import { createMemoryFileStore } from '../context/memory-file-store.js';
import { type Check, inWorld, notApplicable, registerChecks } from './check.js';
import { expectPlainJson } from './expectations.js';
import { type TaskWorld, taskChecks, untilEnded } from './task-checks.js';

type CiServices = 'shell' | 'source' | 'callbackUrl';

export interface CiWorld<Options> extends TaskWorld<BuildRequest<Options>, CiServices> {
  /** A fresh instance over the same vendor, as after a restart on another machine. */
  reopen(): Promise<Ci<Options>>;
  /** The outputs that the good build leaves for the packager, where the subject collects them. */
  readonly outputPaths?: readonly string[];
}

export interface CiHarness<Options> {
  /** A world of its own for each check; nothing has been built in it. */
  open(): Promise<CiWorld<Options>>;
}

const collects = async <Options>(world: CiWorld<Options>): Promise<void> => {
  const ci = await world.reopen();
  const key = 'operation-1:ci:1';
  if (ci.collect === undefined) notApplicable('it collects no outputs');
  const op = await world.createOp({ key, request: world.good });
  const started = { request: world.good, handle: await ci.start(world.good, op) };
  await untilEnded(world, ci, started, key);
  const files = createMemoryFileStore();
  const collect = async () => (await world.reopen()).collect?.(started, { ...(await world.createOp({ key, request: world.good })), files });
  const outputs = (await collect()) ?? expect.fail('collect disappeared in a fresh instance');
  expectPlainJson(outputs, 'the outputs');
  expect(outputs.map((output) => output.path).sort()).toEqual([...(world.outputPaths ?? [])].sort());
  for (const { path, file } of outputs) {
    expect(path, 'an output path is relative to the package root').not.toMatch(/^\/|(?:^|\/)\.\.(?:\/|$)/);
    expect((await files.readBytes(file)).byteLength, `the measured size of ${path}`).toBe(file.size);
  }
  expect(await collect(), 'outputs that are collected again').toEqual(outputs);
};

/** What {@link Ci} promises, one check each. */
export const ciChecks = <Options>(): readonly Check<CiHarness<Options>>[] => [
  ...taskChecks<CiWorld<Options>, BuildRequest<Options>, BuildResult, CiServices>({
    reopen: (world) => world.reopen(),
    expectGood: (world, result) => {
      expect(result).toMatchObject({ outcome: 'passed', commit: world.good.commit.sha, raw: expect.any(String) });
    },
    expectBad: (_world, result) => {
      expect(result).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(/\S/), raw: expect.any(String) });
    },
  }),
  { name: 'collects the outputs of the build into the file store, the same each time', run: inWorld(collects) },
];

/** Registers a test for each promise of {@link Ci}. */
export const testCi = <Options>(name: string, harness: CiHarness<Options>): void =>
  registerChecks(`${name} as ci`, ciChecks<Options>(), harness);
