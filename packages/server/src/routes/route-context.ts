import type { Clock, Logger } from '@pipit/core';
import type { Authenticator } from '../authenticate.js';
import type { Drain } from '../drain.js';
import type { Metrics } from '../metrics.js';
import type { RefusalLog } from '../refusal-log.js';
import type { ServedRuntime } from '../served-runtime.js';

/** What the routes of one server share. */
export interface RouteContext {
  readonly runtime: ServedRuntime;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly version: string;
  readonly drain: Drain;
  readonly refusals: RefusalLog;
  readonly authenticator: Authenticator;
  readonly metrics: Metrics;
  /** Milliseconds between two comments on a live stream that has nothing to tell. */
  readonly heartbeatMs: number;
}
