import type { Runtime } from '@pipit/runtime';

/** What the server needs of a runtime. It neither starts nor stops it: who made the runtime does, after the server is closed. */
export type ServedRuntime = Pick<Runtime, 'receive' | 'api' | 'health' | 'checkToken' | 'recordRefusal' | 'announce' | 'readMetrics'>;

/** Who asks, from where; it goes into the audit trail. */
export type Actor = Parameters<Runtime['api']>[0];

/** Something refused at the door, for the audit trail. */
export type Refusal = Parameters<Runtime['recordRefusal']>[0];

export type RuntimeMetric = Awaited<ReturnType<Runtime['readMetrics']>>[number];
