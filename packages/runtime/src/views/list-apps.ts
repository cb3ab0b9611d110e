import type { RingPolicy, RingRow, RolloutRow, RunRow } from '@pipit/pipeline';
import type { AppView, RingView } from '../api.js';
import type { ViewPorts } from './view-ports.js';

interface Standing {
  readonly policies: readonly RingPolicy[];
  readonly rings: readonly RingRow[];
  readonly rollouts: readonly RolloutRow[];
  readonly runs: readonly RunRow[];
}

const viewRing = (policy: RingPolicy, index: number, { policies, rings, rollouts, runs }: Standing): RingView => {
  const ring = rings.find((each) => each.ring === policy.name);
  const before = index === 0 ? undefined : rings.find((each) => each.ring === policies[index - 1]?.name);
  const rollout = rollouts.find((each) => each.id === ring?.rolloutId);
  const numberOf = (version: string | undefined): number =>
    Math.max(
      0,
      ...runs.filter((run) => run.kind === 'delivery' && run.version === version && version !== undefined).map((run) => run.number),
    );
  const ahead =
    index === 0 ? Math.max(0, ...runs.filter((run) => run.kind === 'delivery').map((run) => run.number)) : numberOf(before?.version);
  const own = numberOf(ring?.version);
  const behindBy = runs.filter(
    (run) => run.kind === 'delivery' && run.outcome !== 'stale' && run.number > own && run.number <= ahead,
  ).length;
  const commit = runs.find((run) => run.version === ring?.version && ring !== undefined)?.sha ?? null;
  return {
    ring: policy.name,
    version: ring?.version ?? null,
    commit,
    state: ring?.state ?? 'empty',
    sequence: ring?.sequence ?? 0,
    since: rollout?.endedAt ?? rollout?.startedAt ?? null,
    behindBy,
  };
};

/** Every app with its rings: the version of each at a glance. */
export const listApps = async ({ records, catalog }: Pick<ViewPorts, 'records' | 'catalog'>): Promise<readonly AppView[]> => {
  const views: AppView[] = [];
  for (const app of await records.list('apps')) {
    const runs = await records.list('runs', { where: { app: app.app }, orderBy: ['number', 'descending'] });
    const latestRun = runs[0] ?? null;
    const role = latestRun?.role ?? 'app';
    const policies = catalog.of(app)?.rings ?? latestRun?.rings ?? [];
    const standing = {
      policies,
      rings: await records.list('rings', { where: { app: app.app } }),
      rollouts: await records.list('rollouts', { where: { app: app.app } }),
      runs,
    };
    views.push({ ...app, role, latestRun, rings: policies.map((policy, index) => viewRing(policy, index, standing)) });
  }
  return views;
};
