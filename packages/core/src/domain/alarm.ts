import type { Labels } from './host.js';

/** An alarm of a monitoring system, as a gate's `receive` tells it. */
export interface Alarm {
  readonly id: string;
  readonly firing: boolean;
  /** ISO 8601 in UTC. */
  readonly since: string;
  readonly labels: Labels;
}
