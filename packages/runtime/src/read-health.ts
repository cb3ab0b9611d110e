import type { Records } from '@pipit/pipeline';
import type { DatabaseAbsence } from './database-watch.js';
import type { Health, Runtime } from './runtime.js';

/** How pipit itself is: asked by /healthz and /readyz, so it looks at little, and not at a database that is known to be away. */
export const readHealth = async ({
  readQuarantine,
  stopping,
  absence,
}: {
  readonly readQuarantine: () => Promise<string | null>;
  readonly stopping: boolean;
  readonly absence?: DatabaseAbsence;
}): Promise<Health> => {
  const away = (detail: string): Health => ({
    ready: false,
    database: false,
    stopping,
    quarantine: null,
    checks: [{ name: 'database', ok: false, detail }],
    ...(absence === undefined ? {} : { databaseAway: absence }),
  });
  if (absence !== undefined) return away(absence.reason);
  try {
    const quarantine = await readQuarantine();
    return { ready: !stopping, database: true, stopping, quarantine, checks: [{ name: 'database', ok: true }] };
  } catch (error) {
    return away(error instanceof Error ? error.message : String(error));
  }
};

type Metrics = Awaited<ReturnType<Runtime['readMetrics']>>;

/** What stands in the records, as gauges. */
export const readMetrics = async (records: Records): Promise<Metrics> => {
  const open = await records.list('runs', { where: { state: ['active', 'waiting'] } });
  const events = await records.list('events', { where: { state: 'received' } });
  const operations = await records.list('operations', { where: { state: ['pending', 'running'] } });
  const rings = await records.list('rings');
  const gauge = (name: string, help: string, value: number, labels: Readonly<Record<string, string>> = {}): Metrics[number] => ({
    name,
    help,
    type: 'gauge',
    labels,
    value,
  });
  const count = (waiting: string): number => open.filter((run) => (run.waitingFor ?? 'nothing') === waiting).length;
  return [
    ...['nothing', 'promotion', 'bake', 'rollout-lock', 'outside'].map((waiting) =>
      gauge('pipit_runs_open', 'Runs that have not ended, by what they wait for.', count(waiting), { waiting }),
    ),
    gauge('pipit_events_pending', 'Accepted events that are not handled yet.', events.length),
    gauge('pipit_operations_open', 'Operations that have not ended.', operations.length),
    ...rings.map((ring) =>
      gauge('pipit_ring_verified', 'Whether a ring runs its release, verified.', ring.state === 'verified' ? 1 : 0, {
        app: ring.app,
        role: ring.role,
        ring: ring.ring,
        version: ring.version,
      }),
    ),
  ];
};
