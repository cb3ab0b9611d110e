import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  createDbosEngine,
  createKysely,
  createPool,
  createPostgresRecords,
  createPostgresStepLogs,
  migrateRecords,
} from '@pipit/engine-dbos';
import { createConductor, createHints, createIntake, createOperationCodes } from '@pipit/pipeline';

/** As the runtime has them: a pool each for records, for what is held exclusively, and for DBOS. */
const POOL_SIZES = { records: 10, exclusive: 4, engine: 10 };
const warn = (fields, message) => console.error(message, fields);
const logger = { debug: () => {}, info: () => {}, warn, error: warn };
const clock = { now: () => new Date(), sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined) };
const hashOf = (text) => createHash('sha256').update(text).digest('hex');

export const repositoryOf = (app) => ({ id: `bench:${app}`, name: `bench/${app}`, url: `bench:${app}` });
export const shaOf = (app, number) => hashOf(`${app} ${number}`).slice(0, 40);

/** Plugins of every kind that return at once; `deployer` and `hosts` may be given. */
export const createNoopPlugins = ({ hosts, deployer }) => {
  const published = new Map();
  const advertised = new Map();
  const installed = new Map();
  const ringKey = ({ app, role, ring }) => `${app}:${role}:${ring}`;
  const observe = async ({ hosts: asked, ring }) =>
    asked.map(({ id }) => ({
      hostId: id,
      reachable: true,
      ...(installed.has(`${ringKey(ring)}/${id}`) ? { installed: installed.get(`${ringKey(ring)}/${id}`) } : {}),
    }));
  const installOn = ({ ring, release, sequence }, { id }) => {
    const receipt = { version: release.version, digest: release.artifacts[0].digest, sequence };
    installed.set(`${ringKey(ring)}/${id}`, receipt);
    return { hostId: id, reachable: true, installed: receipt };
  };
  return {
    installOn,
    ci: {
      find: async () => undefined,
      start: async (_request, op) => op.key,
      inspect: async ({ request }) => ({ state: 'ended', result: { outcome: 'passed', raw: 'OK', commit: request.commit.sha } }),
    },
    packager: {
      formats: ['deb'],
      package: async ({ app, version }) => {
        const digest = `sha256:${hashOf(`${app} ${version}`)}`;
        return [{ format: 'deb', name: app, version, architecture: 'all', digest, content: { sha256: digest, size: 1 } }];
      },
    },
    repository: {
      formats: ['deb'],
      find: async ({ name, version }) => published.get(`${name} ${version}`) ?? [],
      publish: async ({ artifacts }) => {
        for (const { content: _content, ...id } of artifacts) published.set(`${id.name} ${id.version}`, [id]);
      },
      installSources: async () => [],
      offer: async () => undefined,
    },
    discovery: { findHosts: async ({ target }) => ({ hosts: hosts(target.ring) }) },
    advertiser: {
      read: async ({ ring }) => {
        const there = advertised.get(ringKey(ring));
        return there === undefined ? { cursor: '0' } : { current: there, cursor: String(there.sequence) };
      },
      write: async ({ ring, next }) => {
        advertised.set(ringKey(ring), next);
        return 'written';
      },
    },
    deployer: deployer?.({ installOn, observe }) ?? {
      formats: ['deb'],
      find: async () => undefined,
      start: async (_request, op) => op.key,
      inspect: async ({ request }) => ({ state: 'ended', result: request.hosts.map((host) => installOn(request, host)) }),
      observe,
    },
  };
};

export const hostOf = (id) => ({ id, address: `${id}.example.org`, available: true, attributes: {} });

/**
 * The real conductor, operations, engine and records on a database, over plugins in this process. What is not here is the runtime's: git, folders of
 * effects, the sandbox.
 */
export const startSimulatedPipit = async ({ url, rings, plugins, observer = {} }) => {
  const stopping = new AbortController();
  const open = (max) => createPool({ url }, { max, onError: () => {} });
  const pools = { records: open(POOL_SIZES.records), exclusive: open(POOL_SIZES.exclusive), engine: open(POOL_SIZES.engine) };
  const db = createKysely(pools.records);
  await migrateRecords(db);
  const records = createPostgresRecords({ pool: pools.records, exclusivePool: pools.exclusive });
  const engine = createDbosEngine({ url, pool: pools.engine, executorId: 'embedded', logger });
  const part = (instance) => ({ instance, subject: plugins[instance], options: {} });
  const definition = {
    name: 'main',
    rings: rings.map((name) => ({ name, bakeMs: 0, minHealthy: null, promotion: 'automatic', onFailure: 'rollback' })),
    ...Object.fromEntries(['ci', 'packager', 'repository', 'discovery', 'advertiser', 'deployer'].map((kind) => [kind, part(kind)])),
    notifiers: [],
    roleOf: () => 'app',
    healthOf: () => undefined,
  };
  const catalog = { get: () => definition, takes: () => true, match: async () => ({ pipeline: definition }) };
  const heads = new Map();
  const sources = {
    readHead: async (repository) => {
      const commit = heads.get(repository.id);
      return commit && { commit, object: commit };
    },
    fetchCommit: async (repository, _ref, sha) => ({ repository, sha, committedAt: '2020-01-01T00:00:00.000Z' }),
    readFacts: async (_commit, app) => ({
      metadata: { description: app, depends: [], architectures: ['all'], prefix: `/opt/${app}`, configFiles: [], services: [] },
      baseVersion: undefined,
      role: undefined,
      health: undefined,
    }),
  };
  const unused = () => {
    throw new Error('these plugins use no service');
  };
  const effects = {
    run: (request, work) =>
      work({
        signal: request.signal,
        deadline: new Date(Date.now() + request.deadlineMs),
        logger,
        clock,
        random: Math.random,
        key: request.key,
        attempt: request.attempt,
        report: ({ message }) => request.onReport(message),
        files: { put: unused, get: unused },
        callbackUrl: '',
        connect: unused,
      }),
    removeFolder: async () => undefined,
  };
  const hints = createHints();
  const ends = new Map();
  const ports = { records, sources, effects, catalog, clock, hints, logger };
  const conductor = createConductor({
    ...ports,
    engine,
    observer: {
      onMove: (point) => {
        observer.onMove?.(point);
        if (point.phase === 'stored' && point.move === 'end') ends.get(point.runId)?.();
      },
    },
    random: Math.random,
    onChange: () => {},
  });
  let ids = 0;
  const intake = createIntake({
    records,
    clock,
    ids: {
      next: () => {
        ids += 1;
        return `${Date.now().toString(36)}-${process.pid}-${ids}`;
      },
    },
    onAccepted: (eventId) => conductor.wakeEvent(eventId),
  });
  const codes = createOperationCodes({
    ...ports,
    logs: createPostgresStepLogs({ db, pool: pools.records }),
    random: Math.random,
    observer,
    stopping: stopping.signal,
    onOperationEnded: (runId) => conductor.wakeRun(runId),
  });
  const from = performance.now();
  await engine.start(codes);
  conductor.start();
  return {
    records,
    pool: pools.records,
    startedAt: from,
    /** One commit from its webhook to the end of its run. */
    deliver: async (app, number) => {
      const repository = repositoryOf(app);
      const sha = shaOf(app, number);
      heads.set(repository.id, sha);
      const runId = `${app}-${number}`;
      const ended = new Promise((resolve) => ends.set(runId, resolve));
      const event = { key: `${app} ${number}`, repository, ref: 'refs/heads/main', sha };
      await intake.accept({ instance: 'bench', actor: { name: 'bench', origin: 'bench' }, inbound: { type: 'change', event } });
      await ended;
      ends.delete(runId);
      const run = await records.get('runs', { id: runId });
      if (run?.outcome !== 'succeeded') throw new Error(`run ${runId} ended as ${run?.outcome}: ${run?.reason}`);
    },
    stop: async () => {
      await conductor.stop();
      stopping.abort();
      await engine.stop(5_000);
      await Promise.all([pools.exclusive.end(), pools.engine.end()]);
      await db.destroy();
    },
  };
};
