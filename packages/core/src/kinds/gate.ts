import type { Call } from '../context/call.js';
import type { Alarm } from '../domain/alarm.js';
import type { Release } from '../domain/artifact.js';
import type { Host, RingRef } from '../domain/host.js';

export interface GateRequest<Options> {
  readonly ring: RingRef;
  readonly release: Release;
  readonly canary: readonly Host[];
  readonly baseline: readonly Host[];
  /** ISO 8601 in UTC. */
  readonly since: string;
  /** ISO 8601 in UTC. */
  readonly until: string;
  readonly alarms: readonly Alarm[];
  /** The last accepted delivery of this instance, ISO 8601. Unheard of is never a pass. */
  readonly lastHeard?: string;
  readonly options: Options;
}

export interface Measurement {
  readonly metric: string;
  /** null: no data, which is never a pass. */
  readonly value: number | null;
  readonly threshold?: number;
}

export interface Judgement {
  readonly verdict: 'pass' | 'fail' | 'pending';
  readonly reason: string;
  readonly measurements: readonly Measurement[];
}

/** A judge asked during a rollout. */
export interface Gate<Options> {
  judge(request: GateRequest<Options>, call: Call): Promise<Judgement>;
}
