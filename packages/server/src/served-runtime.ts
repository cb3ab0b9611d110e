import type { Runtime } from '@pipit/runtime';

/** What the server needs of a runtime. It neither starts nor stops it: who made the runtime does, after the server is closed. */
export type ServedRuntime = Pick<Runtime, 'receive' | 'health' | 'checkToken' | 'recordRefusal' | 'announce' | 'readMetrics'> & {
  api(caller: Caller): ReturnType<Runtime['api']>;
};

/** Who asks, from where; it goes into the audit trail. */
export type Actor = Parameters<Runtime['api']>[0];

/** Who asks over HTTP: never without a preset, which would be trusted. */
export type Caller = Actor & Required<Pick<Actor, 'preset'>>;

/** Something refused at the door, for the audit trail. */
export type Refusal = Parameters<Runtime['recordRefusal']>[0];

export type RuntimeMetric = Awaited<ReturnType<Runtime['readMetrics']>>[number];
