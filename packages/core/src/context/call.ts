import type { Logger } from './logger.js';

export interface Clock {
  now(): Date;
}

/** What every method of a plugin gets beside its request. */
export interface Call {
  /** Aborted at the deadline, on cancel and while pipit stops. Pass it to every await. */
  readonly signal: AbortSignal;
  readonly deadline: Date;
  readonly logger: Logger;
  readonly clock: Clock;
  /** From 0 up to 1, for jitter and choice; given so that tests can choose it. */
  random(): number;
}
