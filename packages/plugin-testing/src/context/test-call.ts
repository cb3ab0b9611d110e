import type { Call, Clock } from '@pipit/core';
import { createSystemClock } from './system-clock.js';
import { createTestLogger, type TestLogger } from './test-logger.js';

/** A call that nobody ends still ends. */
const DEFAULT_TIMEOUT_MS = 60_000;

export interface TestCallOptions {
  /** Aborts the call beside its own deadline. */
  readonly signal?: AbortSignal;
  /** Milliseconds from now to the deadline, at which the signal is aborted; default 60,000. */
  readonly timeoutMs?: number;
  /** Default: the machine's. */
  readonly clock?: Clock;
  readonly logger?: TestLogger;
  /** Default: always 0.5. */
  readonly random?: () => number;
}

export interface TestCall extends Call {
  readonly logger: TestLogger;
}

/** What a method of a plugin gets beside its request, ready to use. The deadline aborts the signal after real milliseconds, also with a fake clock. */
export const createTestCall = ({
  signal,
  timeoutMs = DEFAULT_TIMEOUT_MS,
  clock = createSystemClock(),
  logger = createTestLogger(),
  random = () => 0.5,
}: TestCallOptions = {}): TestCall => {
  const timeout = AbortSignal.timeout(timeoutMs);
  return {
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    deadline: new Date(clock.now().getTime() + timeoutMs),
    logger,
    clock,
    random,
  };
};
