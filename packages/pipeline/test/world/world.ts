import {
  type ChangeEvent,
  type CommitSha,
  type Inbound,
  parseAppName,
  parseRefName,
  parseRoleName,
  type RefName,
  type RepositoryRef,
} from '@pipit/core';
import { createTestLogger, type TestLogger } from '@pipit/plugin-testing';
import {
  type Accepted,
  type Actor,
  type Asked,
  type Cancelled,
  type CommandPorts,
  type Conductor,
  cancel,
  createConductor,
  createHints,
  createIntake,
  createMemoryEngine,
  createMemoryJournal,
  createMemoryRecords,
  createMemoryStepLogs,
  createOperationCodes,
  type Engine,
  type EventId,
  findBrokenAudit,
  type Intake,
  type MemoryJournal,
  type MemoryRecords,
  type PipelineCatalog,
  type PipelineDefinition,
  type Promoted,
  type PromoteRequest,
  promote,
  type Records,
  type Retried,
  type RingPolicy,
  type RollbackRequest,
  type RolledBack,
  type RunId,
  type RunRow,
  retry,
  rollback,
} from '../../src/index.js';
import { Life } from './life.js';
import { addCommit, addHost, type CommitPlan, createOutside, type Outside, type SimulatedCommit, type SimulatedHost } from './outside.js';
import { createSimulatedCi, createSimulatedPackager, createSimulatedRepository } from './simulated-build.js';
import {
  createSimulatedAdvertiser,
  createSimulatedDeployer,
  createSimulatedDiscovery,
  createSimulatedNotifier,
} from './simulated-fleet.js';
import { createWorldClock, type WorldClock } from './world-clock.js';
import { clockOf, effectsOf, engineOf, recordsOf, sourcesOf } from './world-ports.js';

export const APP = parseAppName('web');
export const ROLE = parseRoleName('app');
export const MAIN = parseRefName('refs/heads/main');
export const REPOSITORY: RepositoryRef = { id: '4711', name: 'acme/web', url: 'https://git.example.org/acme/web' };
export const ANNA: Actor = { name: 'anna', origin: 'cli' };
const SWEEP_MS = 5_000;
/** A world that is still busy after so much of its own time hangs. */
const PATIENCE_MS = 6 * 60 * 60_000;

export const policy = (name: string, changes: Partial<RingPolicy> = {}): RingPolicy => ({
  name: name as RingPolicy['name'], // the tests name their rings well
  bakeMs: 0,
  minHealthy: null,
  promotion: 'manual',
  onFailure: 'rollback',
  ...changes,
});

export interface WorldOptions {
  /** Default: canary, baked for 30 s, and production, promoted by hand. */
  readonly rings?: readonly RingPolicy[];
  /** Ids by ring; default two canary hosts and three of production. */
  readonly hosts?: Readonly<Record<string, readonly string[]>>;
  /** Decides at each crash point whether pipit is killed there. */
  readonly killAt?: (point: string, count: number) => boolean;
  /** Whether the database's machine dies with it: what no durable commit followed is lost. */
  readonly losesPower?: boolean;
}

interface Process {
  readonly life: Life;
  readonly records: Records;
  readonly engine: Engine;
  readonly conductor: Conductor;
  readonly intake: Intake;
  readonly stopping: AbortController;
  readonly commands: CommandPorts;
}

export interface PushOptions {
  readonly plan?: CommitPlan;
  /** Default: the ref's commit before. `null`: the teller does not know. */
  readonly before?: CommitSha | null;
  readonly repository?: RepositoryRef;
  readonly ref?: string;
  /** Default: one of its own. */
  readonly key?: string;
  readonly instance?: string;
  /** Whether a poll finds it; default false. */
  readonly polled?: boolean;
}

const DEFAULT_RINGS = [policy('canary', { bakeMs: 30_000 }), policy('production')];
const DEFAULT_HOSTS = { canary: ['canary1', 'canary2'], production: ['web1', 'web2', 'web3'] };

/** Pipit whole, in memory, with everything around it simulated; time passes only when everybody waits. */
export class World {
  readonly outside: Outside = createOutside();
  readonly clock: WorldClock = createWorldClock();
  /** The database itself, for a test to look at: it outlives every crash. */
  readonly records: MemoryRecords = createMemoryRecords();
  readonly logger: TestLogger = createTestLogger();
  readonly logs = createMemoryStepLogs();
  /** The crash points passed so far, over all processes. */
  readonly points: string[] = [];
  /** Today's config; a test may change it. */
  rings: readonly RingPolicy[];
  pipelineExists = true;
  patienceMs = 15 * 60_000;
  /** What today's config calls the only pipeline. */
  pipelineName = 'web';
  /** Which refs today's config lets in. */
  takesRef: (ref: RefName) => boolean = (ref) => ref.startsWith('refs/heads/');
  /** Whether today's config lets the app take the place of what is not pipit's. */
  mayTakeOver = false;
  /** Whether the pipeline has a notifier. */
  notified = false;
  kills = 0;
  #journal: MemoryJournal = createMemoryJournal();
  #process: Process | undefined;
  #commits = 0;
  #deliveries = 0;
  readonly #options: WorldOptions;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.rings = options.rings ?? DEFAULT_RINGS;
    this.outside.nowMs = () => this.clock.time;
    for (const [ring, ids] of Object.entries(options.hosts ?? DEFAULT_HOSTS)) for (const id of ids) addHost(this.outside, id, [ring]);
  }

  #definition(life: Life): PipelineDefinition {
    const { outside } = this;
    const part = <T>(instance: string, subject: T) => ({ instance, subject, options: {} });
    return {
      name: this.pipelineName,
      rings: this.rings,
      patienceMs: this.patienceMs,
      ci: part('ci', createSimulatedCi(outside, life)),
      packager: part('packager', createSimulatedPackager(outside, life)),
      repository: part('repository', createSimulatedRepository(outside, life)),
      discovery: part('discovery', createSimulatedDiscovery(outside, life)),
      advertiser: part('discovery', createSimulatedAdvertiser(outside, life)),
      notifiers: this.notified ? [part('chat', createSimulatedNotifier(outside, life))] : [],
      deployer: part('deployer', createSimulatedDeployer(outside, life)),
      roleOf: () => ROLE,
      healthOf: () => undefined,
      mayTakeOver: () => this.mayTakeOver,
    };
  }

  #catalog(life: Life): PipelineCatalog {
    const definition = this.#definition(life);
    const today = (): PipelineDefinition => ({ ...definition, name: this.pipelineName, rings: this.rings, patienceMs: this.patienceMs });
    return {
      of: ({ ref }) => (this.pipelineExists && this.takesRef(ref) ? today() : undefined),
      takes: (name, _repositoryName, ref) => name === this.pipelineName && this.pipelineExists && this.takesRef(ref),
      match: async ({ repository, ref }) =>
        repository.name.split('/').length === 2 && this.takesRef(ref)
          ? { pipeline: today() }
          : { reason: `No pipeline takes ${ref} of ${repository.name}` },
    };
  }

  async #boot(): Promise<Process> {
    const { outside, logger, logs } = this;
    const life = new Life((point, dying) => {
      this.points.push(point);
      if (this.#options.killAt?.(point, this.points.length) !== true) return;
      this.kills += 1;
      this.#end(dying);
    });
    const records = recordsOf(this.records, life);
    const clock = clockOf(this.clock, life);
    const sources = sourcesOf(outside, life);
    const effects = effectsOf({ outside, records: this.records, clock, life });
    const catalog = this.#catalog(life);
    const hints = createHints();
    const stopping = new AbortController();
    const engine = engineOf(createMemoryEngine(this.#journal), life, this.records.flush);
    const observer = {
      onStep: ({ operationId, step, phase }: { operationId: string; step: string; phase: string }) =>
        life.point(`${operationId} ${step}: ${phase}`),
      onMove: ({ runId, move, phase }: { runId: string; move: string; phase: string }) => life.point(`${runId} ${move}: ${phase}`),
    };
    const shared = { records, engine, catalog, sources, effects, clock, hints, logger, observer };
    const conductor = createConductor({ ...shared, random: () => 0.5, onChange: () => {} }, { sweepMs: SWEEP_MS });
    const codes = createOperationCodes({
      ...shared,
      logs,
      random: () => 0.5,
      stopping: stopping.signal,
      onOperationEnded: (runId) => conductor.wakeRun(runId as RunId), // the operation's own run
    });
    let eventNumber = (await this.records.list('events')).length;
    const intake = createIntake({
      records,
      clock,
      ids: {
        next: () => {
          eventNumber += 1;
          return `event-${String(eventNumber).padStart(6, '0')}`;
        },
      },
      onAccepted: (lane) => conductor.wakeLane(lane),
    });
    await engine.start(codes);
    conductor.start();
    return { life, records, engine, conductor, intake, stopping, commands: { records, catalog, clock, wakeRun: conductor.wakeRun } };
  }

  /** The process that is alive now; a killed one is followed by a new one on the same database. */
  async #alive(): Promise<Process> {
    if (this.#process === undefined || this.#process.life.dead) this.#process = await this.#boot();
    return this.#process;
  }

  /** Does what a person or webhook does: when pipit is killed before it answers, tries again with the next process. */
  async #insist<T>(act: (process: Process) => Promise<T>): Promise<T> {
    for (;;) {
      const process = await this.#alive();
      const settled: { ended?: { value: T } | { error: unknown } } = {};
      act(process).then(
        (value) => {
          settled.ended = { value };
        },
        (error: unknown) => {
          settled.ended = { error };
        },
      );
      while (settled.ended === undefined && !process.life.dead) {
        await immediate();
        if (settled.ended === undefined && !process.life.dead) this.clock.advanceToNext();
      }
      if (settled.ended === undefined) continue;
      if ('error' in settled.ended) throw settled.ended.error;
      return settled.ended.value;
    }
  }

  #end(life: Life): void {
    life.kill();
    if (this.#options.losesPower === true) this.records.cutPower();
  }

  /** kill -9, or the power goes. The next act starts a new process. */
  crash(): void {
    if (this.#process !== undefined) this.#end(this.#process.life);
    this.kills += 1;
  }

  /** An orderly stop; the next act starts a new process. */
  async stop(): Promise<void> {
    const process = this.#process;
    if (process === undefined || process.life.dead) return;
    process.stopping.abort();
    await process.conductor.stop();
    await process.engine.stop(1_000);
    process.life.kill();
  }

  /** As if the engine's own tables were lost. */
  loseJournal(): void {
    this.#journal = createMemoryJournal();
  }

  commit(plan: CommitPlan = {}, repository = REPOSITORY): SimulatedCommit {
    this.#commits += 1;
    return addCommit(this.outside, repository, this.#commits, plan);
  }

  #moveRef(repository: RepositoryRef, ref: string, sha: CommitSha | undefined): CommitSha | undefined {
    const refs = this.outside.repositories.get(repository.id)?.refs;
    const before = refs?.get(ref);
    if (sha === undefined) refs?.delete(ref);
    else refs?.set(ref, sha);
    return before;
  }

  /** Tells of a push, without making it. */
  tell(event: Omit<ChangeEvent, 'key'> & { key?: string }, instance = 'github', polled = false): Promise<Accepted> {
    this.#deliveries += 1;
    const inbound: Inbound = { type: 'change', event: { key: `delivery-${this.#deliveries}`, ...event } };
    return this.#insist(({ intake }) => intake.accept({ instance, actor: { name: instance, origin: '192.0.2.7' }, inbound, polled }));
  }

  async receive(inbound: Inbound, instance = 'ci'): Promise<Accepted> {
    return this.#insist(({ intake }) => intake.accept({ instance, actor: { name: instance, origin: '192.0.2.7' }, inbound }));
  }

  /** Pushes a new commit (or the one given) and tells of it. */
  async push(options: PushOptions = {}, given?: SimulatedCommit): Promise<SimulatedCommit & { readonly eventId: EventId }> {
    const { repository = REPOSITORY, ref = MAIN, instance } = options;
    const commit = given ?? this.commit(options.plan, repository);
    const was = this.#moveRef(repository, ref, commit.sha);
    const before = options.before === undefined ? was : (options.before ?? undefined);
    const { eventId } = await this.tell(
      {
        repository,
        ref: parseRefName(ref),
        sha: commit.sha,
        ...(before === undefined ? {} : { before }),
        ...(options.key === undefined ? {} : { key: options.key }),
      },
      instance,
      options.polled,
    );
    return { ...commit, eventId };
  }

  async deleteRef(ref = MAIN): Promise<void> {
    const before = this.#moveRef(REPOSITORY, ref, undefined);
    await this.tell({ repository: REPOSITORY, ref, sha: null, ...(before === undefined ? {} : { before }) });
  }

  promote(request: Partial<PromoteRequest> = {}): Promise<Promoted> {
    return this.#insist(({ commands }) => promote(commands, { app: APP, actor: ANNA, ...request }));
  }

  rollback(request: Partial<RollbackRequest> = {}): Promise<RolledBack> {
    return this.#insist(({ commands }) => rollback(commands, { app: APP, actor: ANNA, ...request }));
  }

  cancel(runId: string, asked: Partial<Asked> = {}): Promise<Cancelled> {
    return this.#insist(({ commands }) => cancel(commands, { runId: runId as RunId, actor: ANNA, ...asked })); // a run the test has seen
  }

  retry(runId: string, asked: Partial<Asked> = {}): Promise<Retried> {
    return this.#insist(({ commands }) => retry(commands, { runId: runId as RunId, actor: ANNA, ...asked })); // a run the test has seen
  }

  /** From now on a call does not answer, or every one with `*`, for so long. */
  outage(call: string, forMs: number, how: 'retry' | 'disk full' | 'lost after' = 'retry'): void {
    this.outside.outages.set(call, { untilMs: this.clock.time + forMs, how });
  }

  /** Lets time pass until the condition holds; a process that was killed is followed by a new one. */
  async until(condition: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = this.clock.time + PATIENCE_MS;
    for (;;) {
      await this.#alive();
      await immediate();
      if (await condition()) return;
      if (this.#process?.life.dead === true) continue;
      if (this.clock.time > deadline || !this.clock.advanceToNext())
        throw new Error(`The world hangs: ${JSON.stringify(await this.records.list('runs'), undefined, 1)}`);
    }
  }

  async #isQuiet(): Promise<boolean> {
    const { records } = this;
    if ((await records.list('events', { where: { state: 'received' } })).length > 0) return false;
    if ((await records.list('operations', { where: { state: ['pending', 'running'] } })).length > 0) return false;
    if ((await records.list('cleanups')).length > 0) return false;
    const runs = await records.list('runs', { where: { state: ['active', 'waiting'] } });
    return runs.every((run) => run.state === 'waiting' && run.waitingFor === 'promotion');
  }

  /** Until every run has ended or waits for a person. */
  settle(): Promise<void> {
    return this.until(() => this.#isQuiet());
  }

  /** A person holds everything up, or lets it go on. */
  async quarantine(on: boolean): Promise<void> {
    await this.records.transaction((transaction) =>
      on ? transaction.insert('settings', { name: 'quarantine', value: 'a test' }) : transaction.remove('settings', { name: 'quarantine' }),
    );
  }

  /** So much time, in whole sleeps of whoever sleeps. */
  async pass(ms: number): Promise<void> {
    const end = this.clock.time + ms;
    await this.until(() => this.clock.time >= end);
  }

  async run(number: number): Promise<RunRow> {
    const [run] = await this.records.list('runs', { where: { app: APP, number } });
    if (run === undefined) throw new Error(`There is no run ${number}`);
    return run;
  }

  runs(): Promise<readonly RunRow[]> {
    return this.records.list('runs', { orderBy: ['number', 'ascending'] });
  }

  /** Until a run stands so. */
  async untilRun(number: number, holds: Partial<Pick<RunRow, 'state' | 'waitingFor' | 'stage' | 'outcome'>>): Promise<void> {
    await this.until(async () => {
      const [run] = await this.records.list('runs', { where: { app: APP, number } });
      return run !== undefined && Object.entries(holds).every(([key, value]) => run[key as keyof RunRow] === value);
    });
  }

  /** A push that goes the whole way to production. */
  async deliver(options: PushOptions = {}): Promise<RunRow> {
    const { eventId } = await this.push(options);
    await this.settle();
    const [run] = await this.records.list('runs', { where: { eventId } });
    if (run === undefined) throw new Error('The push began no run');
    if (run.waitingFor === 'promotion') {
      await this.promote();
      await this.settle();
    }
    return this.run(run.number);
  }

  host(id: string): SimulatedHost {
    const host = this.outside.hosts.get(id);
    if (host === undefined) throw new Error(`There is no host ${id}`);
    return host;
  }

  hostsOf(ring: string): readonly SimulatedHost[] {
    return [...this.outside.hosts.values()].filter((host) => host.rings[0] === ring);
  }

  /** The versions that a ring's hosts run, each once. */
  versionsOf(ring: string): readonly (string | undefined)[] {
    return [...new Set(this.hostsOf(ring).map((host) => host.installed?.version))];
  }

  advertisedFor(ring: string): string | undefined {
    return this.outside.advertised.get(`${APP}:${ROLE}:${ring}`)?.document.version;
  }

  calls(name: string): number {
    return this.outside.calls.get(name) ?? 0;
  }

  async brokenAudit(): Promise<unknown> {
    return findBrokenAudit(await this.records.list('audit', { orderBy: ['sequence', 'ascending'] }));
  }
}

const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
