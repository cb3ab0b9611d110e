/**
 * Each guard of the pipeline, and what happens without it: the same scenario is played with the guard in place, where the forbidden state does not
 * come about, and with a permissive version in its place, where it does. So a guard that no longer guards fails here, and so does a scenario that
 * would pass without its guard.
 */
import { type Ci, type CommitSha, parsePackageName } from '@pipit/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { RunView } from '../src/conduct/decide.js';
import { installLockOf, type PipelineCatalog, type RolloutRow, ringLockOf } from '../src/index.js';
import { failCalls } from './world/outside.js';
import { MAIN, policy, REPOSITORY, World } from './world/world.js';

const taken = vi.hoisted(() => new Set<string>());

vi.mock('../src/guard/promotion-guard.js', async (original) => {
  const real = await original<typeof import('../src/guard/promotion-guard.js')>();
  const guardPromotion: typeof real.guardPromotion = (promotion) =>
    taken.has('guardPromotion') && promotion.ring !== undefined && promotion.rollout !== undefined
      ? { allowed: true, version: promotion.ring.version, artifacts: promotion.rollout.artifacts }
      : real.guardPromotion(promotion);
  return { ...real, guardPromotion };
});

vi.mock('../src/guard/judge-ring.js', async (original) => {
  const real = await original<typeof import('../src/guard/judge-ring.js')>();
  const judgeRing: typeof real.judgeRing = (ring) => {
    const judgement = real.judgeRing(ring);
    if (!taken.has('judgeRing')) return judgement;
    return { ...judgement, verified: true, hosts: ring.listed.map(({ hostId }) => ({ hostId, state: 'verified' })) };
  };
  return { ...real, judgeRing };
});

vi.mock('../src/guard/rollback-target.js', async (original) => {
  const real = await original<typeof import('../src/guard/rollback-target.js')>();
  const planRollback: typeof real.planRollback = (plan) => {
    const latest = plan.rollouts.filter((rollout) => rollout.ring === plan.ring).sort((one, other) => other.sequence - one.sequence)[0];
    return taken.has('planRollback') && latest !== undefined ? { rollout: latest } : real.planRollback(plan);
  };
  return { ...real, planRollback };
});

vi.mock('../src/guard/sequence.js', async (original) => {
  const real = await original<typeof import('../src/guard/sequence.js')>();
  return {
    nextSequence: ((known) =>
      taken.has('nextSequence') ? known.recorded + 1 : real.nextSequence(known)) satisfies typeof real.nextSequence,
    judgeAdvertisement: ((current, next) =>
      taken.has('judgeAdvertisement') ? 'write' : real.judgeAdvertisement(current, next)) satisfies typeof real.judgeAdvertisement,
  };
});

vi.mock('../src/guard/stricter-policy.js', async (original) => {
  const real = await original<typeof import('../src/guard/stricter-policy.js')>();
  return {
    stricterPolicy: ((then, now) =>
      taken.has('stricterPolicy') ? (now ?? then) : real.stricterPolicy(then, now)) satisfies typeof real.stricterPolicy,
  };
});

vi.mock('../src/intake/judge-push.js', async (original) => {
  const real = await original<typeof import('../src/intake/judge-push.js')>();
  return {
    judgePush: ((push, head) =>
      taken.has('judgePush') ? { type: 'new', move: (head?.moves ?? 0) + 1 } : real.judgePush(push, head)) satisfies typeof real.judgePush,
  };
});

vi.mock('../src/conduct/decide.js', async (original) => {
  const real = await original<typeof import('../src/conduct/decide.js')>();
  const decide: typeof real.decide = (view) => {
    const move = real.decide(view);
    if (taken.has('the order of rollbacks') && move.type === 'wait' && move.for === 'rollout-lock' && move.stage.kind === 'rollout')
      return real.decide({ ...view, rollbacks: [] });
    if (taken.has('the rollout lock') && move.type === 'wait' && move.for === 'rollout-lock')
      return { type: 'start', stage: move.stage, operation: 'rollout' };
    if (taken.has('the bake') && move.type === 'wait' && move.for === 'bake')
      return { type: 'complete', stage: move.stage, releases: view.locks.map((lock) => lock.name) };
    if (taken.has('superseding') && move.type === 'lock') return { ...move, supersede: false };
    if (taken.has('the order of runs') && move.type === 'end' && move.outcome === 'superseded') {
      const [ring] = view.run.rings;
      if (ring !== undefined && view.locks.length === 0)
        return {
          type: 'lock',
          stage: { name: `rollout:${ring.name}`, kind: 'rollout', ring: ring.name },
          names: [installLockOf(view.run), ringLockOf(view.run, ring.name)],
          reason: 'x',
          supersede: true,
        };
    }
    return move;
  };
  return { ...real, decide };
});

vi.mock('../src/conduct/apply-move.js', async (original) => {
  const real = await original<typeof import('../src/conduct/apply-move.js')>();
  const applyMove: typeof real.applyMove = (transaction, view, move) => {
    const keeps = taken.has('the lock set free by a wait') && move.type === 'wait' && move.for === 'outside';
    return real.applyMove(transaction, keeps ? { ...view, locks: [] } : view, move);
  };
  return { ...real, applyMove };
});

vi.mock('../src/conduct/stopwatch.js', async (original) => {
  const real = await original<typeof import('../src/conduct/stopwatch.js')>();
  return {
    createStopwatch: ((clock) => {
      const watch = real.createStopwatch(clock);
      const isDue = ({ run, now }: RunView): boolean => run.dueAt !== null && Date.parse(run.dueAt) <= now.getTime();
      return {
        ...watch,
        read: (view) => {
          const waitedMs = watch.read(view);
          return taken.has('the stopwatch') && isDue(view) ? Number.MAX_SAFE_INTEGER : waitedMs;
        },
      };
    }) satisfies typeof real.createStopwatch,
  };
});

vi.mock('../src/conduct/janitor.js', async (original) => {
  const real = await original<typeof import('../src/conduct/janitor.js')>();
  return {
    createJanitor: ((ports) => {
      const janitor = real.createJanitor(ports);
      return { ...janitor, sweep: async () => (taken.has('the janitor') ? undefined : janitor.sweep()) };
    }) satisfies typeof real.createJanitor,
  };
});

vi.mock('../src/operations/build.js', async (original) => {
  const real = await original<typeof import('../src/operations/build.js')>();
  /** A CI whose every pass is believed to be for the commit that was asked for. */
  const believe = (catalog: PipelineCatalog): PipelineCatalog => ({
    ...catalog,
    of: (binding) => {
      const definition = catalog.of(binding);
      if (definition === undefined) return undefined;
      const { subject } = definition.ci;
      const inspect: Ci<unknown>['inspect'] = async (started, op) => {
        const state = await subject.inspect(started, op);
        return state.state === 'ended' && state.result.outcome === 'passed'
          ? { ...state, result: { ...state.result, commit: started.request.commit.sha } }
          : state;
      };
      return { ...definition, ci: { ...definition.ci, subject: { ...subject, inspect } } };
    },
  });
  return {
    runBuild: ((ports, scope) =>
      real.runBuild(
        taken.has('the commit of CI') ? { ...ports, catalog: believe(ports.catalog) } : ports,
        scope,
      )) satisfies typeof real.runBuild,
  };
});

vi.mock('../src/operations/publish.js', async (original) => {
  const real = await original<typeof import('../src/operations/publish.js')>();
  return {
    ...real,
    runPublish: ((ports, scope) =>
      taken.has('the digests of the repository')
        ? Promise.resolve({ published: 0 })
        : real.runPublish(ports, scope)) satisfies typeof real.runPublish,
  };
});

vi.mock('../src/records/tables.js', async (original) => {
  const real = await original<typeof import('../src/records/tables.js')>();
  const { TABLE_KEYS } = real;
  return {
    ...real,
    TABLE_KEYS: new Proxy(TABLE_KEYS, {
      get: (keys, name) => {
        const key = keys[name as keyof typeof keys]; // the proxy stands for the table of keys
        return taken.has('delivery ids') && name === 'events' ? { ...key, unique: [] } : key;
      },
    }),
  };
});

afterEach(() => taken.clear());

const AUTOMATIC = { rings: [policy('canary', { bakeMs: 30_000 }), policy('production', { promotion: 'automatic' })] };

const reachedProduction = async (world: World, run: number): Promise<boolean> => {
  const { version } = await world.run(run);
  return world.hostsOf('production').some((host) => host.installs.some((each) => each.version === version));
};
const reachedCanary = (world: World, sha: CommitSha): boolean =>
  world.hostsOf('canary').some((host) => host.installs.some((each) => each.version.endsWith(sha.slice(0, 7))));

interface Guard {
  readonly guard: string;
  readonly promise: string;
  /** Acts it out; true when the forbidden state came about. */
  readonly comesAbout: () => Promise<boolean>;
}

const guards: readonly Guard[] = [
  {
    guard: 'guardPromotion',
    promise: '1: only what the ring before runs, verified, at that moment',
    comesAbout: async () => {
      const world = new World();
      await world.deliver();
      await world.push();
      await world.settle();
      world.host('canary1').sick = '0002aaa';
      await world.promote();
      await world.settle();
      return reachedProduction(world, 2);
    },
  },
  {
    guard: 'judgeRing',
    promise: '2: a failed canary is not promoted',
    comesAbout: async () => {
      const world = new World(AUTOMATIC);
      await world.push({ plan: { release: 'unhealthy' } });
      await world.settle();
      return reachedProduction(world, 1);
    },
  },
  {
    guard: 'the bake',
    promise: '2: a canary that fails while it is watched is not promoted',
    comesAbout: async () => {
      const world = new World(AUTOMATIC);
      await world.deliver();
      world.host('canary1').sick = false;
      const canary = world.host('canary1');
      await world.push();
      await world.until(() => canary.installs.length === 2);
      canary.sick = '0002aaa';
      await world.settle();
      return reachedProduction(world, 2);
    },
  },
  {
    guard: 'planRollback',
    promise: '1, 2: a rollback installs only what completed there before',
    comesAbout: async () => {
      const world = new World();
      const { version } = await world.deliver();
      await world.push({ plan: { release: 'unhealthy' } });
      await world.settle();
      return world.versionsOf('canary').join() !== version;
    },
  },
  {
    guard: 'nextSequence',
    promise: '6: sequences go beyond what discovery and hosts have seen',
    comesAbout: async () => {
      const world = new World();
      for (const host of world.hostsOf('canary')) {
        await world.deliver();
        host.installed = host.installed && { ...host.installed, sequence: 40 };
      }
      await world.push();
      await world.settle();
      const rollouts = await world.records.list('rollouts', { where: { runId: (await world.run(3)).id } });
      return rollouts.some((rollout) => rollout.sequence <= 40);
    },
  },
  {
    guard: 'judgeAdvertisement',
    promise: '6: an older rollout never overwrites a newer one',
    comesAbout: async () => {
      const world = new World();
      await world.deliver();
      failCalls(world.outside, 'repository.offer', 'retry');
      await world.push();
      await world.until(() => world.outside.faults.get('repository.offer')?.length === 0);
      const there = world.outside.advertised.get('web:app:canary');
      if (there === undefined) throw new Error('nothing is advertised');
      world.outside.advertised.set('web:app:canary', { document: { ...there.document, sequence: 40 }, revision: there.revision + 1 });
      await world.settle();
      return world.outside.advertised.get('web:app:canary')?.document.sequence !== 40;
    },
  },
  {
    guard: 'stricterPolicy',
    promise: 'each decision takes the stricter of then and now',
    comesAbout: async () => {
      const world = new World();
      await world.push();
      await world.settle();
      world.rings = AUTOMATIC.rings;
      await world.pass(60_000);
      await world.settle();
      return reachedProduction(world, 1);
    },
  },
  {
    guard: 'the order of runs',
    promise: '6: a run older than the canary ends as superseded',
    comesAbout: async () => {
      const world = new World();
      const { sha } = await world.push({ plan: { inspections: 40 } });
      await world.until(() => world.outside.builds.length === 1);
      await world.push();
      await world.settle();
      return reachedCanary(world, sha);
    },
  },
  {
    guard: 'superseding',
    promise: '8: starting a canary supersedes the runs that wait for promotion, in one transaction',
    comesAbout: async () => {
      const world = new World();
      await world.push();
      await world.settle();
      await world.push();
      for (const host of world.hostsOf('canary')) host.busy = true;
      await world.until(async () => (await world.records.list('locks')).length > 0);
      return (await world.run(1)).state === 'waiting';
    },
  },
  {
    guard: 'the rollout lock',
    promise: '8: one rollout at a time for an app and role',
    comesAbout: async () => {
      const world = new World();
      await world.push();
      for (const host of world.hostsOf('canary')) host.busy = true;
      await world.until(() => world.outside.batches.length === 1);
      await world.push();
      await world.pass(30_000);
      const open = (await world.records.list('rollouts')).filter((rollout: RolloutRow) => rollout.endedAt === null);
      return open.length > 1;
    },
  },
  {
    guard: 'the order of rollbacks',
    promise: '8: a rollback goes before every forward run, also while it waits for the outside',
    comesAbout: async () => {
      const world = new World();
      await world.deliver();
      await world.deliver();
      world.outage('repository.offer', 120_000);
      await world.rollback();
      await world.untilRun(3, { waitingFor: 'outside' });
      await world.push();
      await world.untilRun(4, { state: 'waiting' });
      await world.pass(10_000);
      return (await world.records.list('rollouts', { where: { runId: (await world.run(4)).id } })).length > 0;
    },
  },
  {
    guard: 'the lock set free by a wait',
    promise: '8: a rollback of any ring waits for nobody who waits for the outside',
    comesAbout: async () => {
      const world = new World();
      await world.deliver();
      await world.deliver();
      world.outage('deployer.start', 300_000);
      await world.push();
      await world.untilRun(3, { waitingFor: 'outside' });
      world.outside.outages.clear();
      await world.rollback();
      await world.pass(1_000);
      return (await world.run(4)).waitingFor === 'rollout-lock';
    },
  },
  {
    guard: 'the stopwatch',
    promise: '2: a bake lasts as long as it is watched, whatever is done to the clock',
    comesAbout: async () => {
      const world = new World({ rings: [policy('canary', { bakeMs: 3_600_000 }), policy('production')] });
      await world.push();
      await world.untilRun(1, { waitingFor: 'bake' });
      world.clock.step(24 * 3_600_000);
      await world.pass(60_000);
      return (await world.run(1)).waitingFor === 'promotion';
    },
  },
  {
    guard: 'the commit of CI',
    promise: '3: the commit that CI passed is the one that is delivered',
    comesAbout: async () => {
      const world = new World();
      const { sha } = await world.push({ plan: { ci: 'passes another commit' } });
      await world.settle();
      return reachedCanary(world, sha);
    },
  },
  {
    guard: 'the digests of the repository',
    promise: '1: other bytes under the same version stop the run before any ring sees them',
    comesAbout: async () => {
      const world = new World();
      failCalls(world.outside, 'packager.package', 'lost after');
      await world.push();
      await world.until(() => world.outside.packaged.length === 1);
      // Published behind pipit's back, between packaging and publishing.
      const [version] = world.outside.packaged;
      const [request] = world.outside.packageRequests;
      if (version === undefined || request === undefined) throw new Error('nothing was packaged');
      const name = parsePackageName(request.app);
      world.outside.published.push({
        format: 'deb',
        name,
        version: request.version,
        architecture: 'amd64',
        digest: `sha256:${'e'.repeat(64)}`,
      });
      await world.settle();
      return world.outside.advertisements.length > 0;
    },
  },
  {
    guard: 'judgePush',
    promise: '4: one push begins at most one run',
    comesAbout: async () => {
      const world = new World();
      const { sha } = await world.push();
      await world.settle();
      await world.tell({ repository: REPOSITORY, ref: MAIN, sha });
      await world.tell({ repository: REPOSITORY, ref: MAIN, sha }, 'poll');
      await world.settle();
      return (await world.runs()).filter((run) => run.sha === sha).length > 1;
    },
  },
  {
    guard: 'delivery ids',
    promise: '4: one delivery is accepted once',
    comesAbout: async () => {
      const world = new World();
      const { sha } = await world.push({ key: 'same' });
      await world.tell({ key: 'same', repository: REPOSITORY, ref: MAIN, sha });
      return (await world.records.list('events')).length > 1;
    },
  },
  {
    guard: 'the janitor',
    promise: '10: temporary files are gone',
    comesAbout: async () => {
      const world = new World();
      await world.push({ plan: { ci: 'fails' } });
      await world.untilRun(1, { state: 'ended' });
      await world.pass(60_000);
      return world.outside.folders.size > 0;
    },
  },
];

describe.each(guards)('$guard holds promise $promise', ({ guard, comesAbout }) => {
  it('with it the forbidden state does not come about', async () => {
    expect(await comesAbout()).toBe(false);
  });

  it('without it the forbidden state comes about', async () => {
    taken.add(guard);
    expect(await comesAbout()).toBe(true);
  });
});
