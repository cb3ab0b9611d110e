import type { OperationCall, Services } from '@pipit/core';
import { createTestCall, type TestCall, type TestCallOptions } from './test-call.js';

export interface Progress {
  readonly message: string;
  readonly fraction?: number;
}

export interface TestOpOptions extends TestCallOptions {
  /** Default `test:step:1`. */
  readonly key?: string;
  /** Default 1. */
  readonly attempt?: number;
}

export type TestOp<Given extends Partial<Services>> = TestCall &
  OperationCall & {
    /** What was reported, oldest first. */
    readonly progress: readonly Progress[];
  } & Pick<Given, keyof Given & keyof Services>;

/**
 * The context of an effect, with exactly the services that are given: one that a plugin asks for and a test does not give is a compile error.
 *
 * @example createTestOp({ shell: createTestShell(folder), files: createMemoryFileStore(), key: 'run-1:package:1' })
 */
export const createTestOp = <Given extends Partial<Services>>(options: TestOpOptions & Given): TestOp<Given> => {
  const progress: Progress[] = [];
  const {
    key = 'test:step:1',
    attempt = 1,
    signal: _signal,
    timeoutMs: _timeoutMs,
    clock: _clock,
    logger: _logger,
    random: _random,
    ...services
  } = options;
  return {
    ...(services as Pick<Given, keyof Given & keyof Services>), // what is left after the options of the call is what Given adds
    ...createTestCall(options),
    key,
    attempt,
    progress,
    report: (line) => {
      progress.push(line);
    },
  };
};
