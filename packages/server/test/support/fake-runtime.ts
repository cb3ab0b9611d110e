import { type HookRequest, PluginError } from '@pipit/core';
import type { Api, Change, Health, HookAnswer, Page, PageQuery } from '@pipit/runtime';
import { authorizedApi } from '../../../runtime/src/authorized-api.js';
import type { Actor, Refusal, RuntimeMetric, ServedRuntime } from '../../src/served-runtime.js';
import {
  appView,
  auditRow,
  begun,
  eventRows,
  hostView,
  logView,
  planView,
  releaseRow,
  runDetail,
  runRow,
  tokenView,
  VERSION,
} from './rows.js';

export const TOKEN = 'right-token';

/** Tokens by what they may do. */
export const TOKENS = { read: 'read-token', deliver: 'deliver-token', admin: TOKEN } as const;

const unknown = (code: string, what: string): never => {
  throw new PluginError({ code, message: `There is no ${what}`, hint: 'See `pipit runs`.', recovery: 'stop' });
};
const conflict = (code: string): never => {
  throw new PluginError({ code, message: `Not now: ${code}`, hint: 'Wait.', recovery: 'stop' });
};

const pageOf = <Row>(rows: readonly Row[], idOf: (row: Row) => string, { limit = 50, before }: PageQuery): Page<Row> => {
  const from = before === undefined ? 0 : rows.findIndex((row) => idOf(row) === before) + 1;
  const page = rows.slice(from, from + limit);
  const last = page.at(-1);
  return { rows: page, next: last === undefined || from + limit >= rows.length ? null : idOf(last) };
};

/** A runtime in memory: what the server needs of one, with levers for tests. */
export class FakeRuntime implements ServedRuntime {
  readonly delivered: HookRequest[] = [];
  readonly refusals: Refusal[] = [];
  readonly commands: { readonly actor: Actor; readonly name: string; readonly command: unknown }[] = [];
  readonly runs = [3, 2, 1].map((number) => runRow(number, number === 1 ? { state: 'ended', outcome: 'succeeded' } : {}));
  readonly audit = Array.from({ length: 450 }, (_, index) => auditRow(450 - index));
  announced: string | undefined;
  healthNow: Health = { ready: true, database: true, stopping: false, quarantine: null, checks: [{ name: 'database', ok: true }] };
  /** Thrown by everything that the runtime is asked. */
  broken: unknown;
  metrics: readonly RuntimeMetric[] = [];
  /** Awaited by every delivery before it is answered. */
  gate: Promise<void> = Promise.resolve();
  followers = 0;
  private readonly keys = new Map<string, string>();
  private readonly history: Change[] = [];
  private wake: (() => void)[] = [];

  async receive(instance: string, request: HookRequest): Promise<HookAnswer> {
    if (this.broken !== undefined) throw this.broken;
    await this.gate;
    if (instance === 'chat') return { type: 'pinged', answer: { status: 200, body: '{"challenge":"abc"}' } };
    if (instance === 'shy')
      return { type: 'accepted', eventIds: ['event-9'], repeated: false, answer: { status: 200, body: '<b>thanks</b>' } };
    if (instance !== 'github')
      return { type: 'refused', status: 404, code: 'INSTANCE_UNKNOWN', message: `No instance ${instance} takes deliveries` };
    const refused = (status: number, code: string): HookAnswer => ({ type: 'refused', status, code, message: `refused: ${code}` });
    if (request.headers['content-type'] !== 'application/json') return refused(415, 'FAKE_CONTENT_TYPE');
    const signature = request.headers['x-signature'];
    if (signature !== 'right') return refused(signature === undefined ? 401 : 403, 'FAKE_SIGNATURE');
    try {
      JSON.parse(Buffer.from(request.body).toString());
    } catch {
      return refused(400, 'FAKE_JSON');
    }
    if (request.headers['x-event'] === 'ping') return { type: 'pinged' };
    this.delivered.push(request);
    const key = request.headers['x-delivery'] ?? '';
    const known = this.keys.get(key);
    const eventId = known ?? `event-${this.keys.size + 1}`;
    this.keys.set(key, eventId);
    return { type: 'accepted', eventIds: [eventId], repeated: known !== undefined };
  }

  async health(): Promise<Health> {
    return this.healthNow;
  }
  /** Tokens that were valid once, and why they are not any more. */
  readonly ended = new Map<string, 'expired' | 'revoked'>();
  checks = 0;
  async checkToken(token: string): ReturnType<ServedRuntime['checkToken']> {
    this.checks += 1;
    const why = this.ended.get(token);
    if (why !== undefined) return { valid: false, why, name: 'main' };
    const [preset] = Object.entries(TOKENS).find(([, each]) => each === token) ?? [];
    if (preset === undefined) return { valid: false, why: 'unknown' };
    return { valid: true, actor: preset === 'admin' ? 'token:main' : `token:${preset}`, preset: preset as keyof typeof TOKENS }; // a key of it
  }
  async recordRefusal(refusal: Refusal): Promise<void> {
    this.refusals.push(refusal);
  }
  async announce(url: string): Promise<void> {
    this.announced = url;
  }
  async readMetrics(): Promise<readonly RuntimeMetric[]> {
    if (this.broken !== undefined) throw this.broken;
    return this.metrics;
  }

  /** Something about a run changed. */
  change(runId: string): void {
    this.history.push({ id: this.history.length + 1, runId });
    this.wakeAll();
  }

  private wakeAll(): void {
    for (const wake of this.wake.splice(0)) wake();
  }

  /** Everything that was asked, in whose name. */
  readonly asked: Actor[] = [];

  api(actor: Actor): Api {
    this.asked.push(actor);
    return authorizedApi(this.wholeApi(actor), actor);
  }

  private wholeApi(actor: Actor): Api {
    const ask = <T>(answer: () => T): Promise<T> => {
      if (this.broken !== undefined) return Promise.reject(this.broken);
      return Promise.resolve().then(answer);
    };
    const command = <T>(name: string, given: { readonly app?: string }, answer: () => T): Promise<T> =>
      ask(() => {
        if (given.app !== undefined && given.app !== 'web') unknown('APP_UNKNOWN', `app ${given.app}`);
        this.commands.push({ actor, name, command: given });
        return answer();
      });
    const findRun = (id: string) => this.runs.find((run) => run.id === id) ?? unknown('RUN_UNKNOWN', `run ${id}`);
    return {
      listApps: () => ask(() => [appView(runRow(3))]),
      listRuns: (query = {}) =>
        ask(() => {
          const wanted = this.runs.filter((run) => (query.app ?? run.app) === run.app && (query.state ?? run.state) === run.state);
          return pageOf(wanted, (run) => run.id, query);
        }),
      showRun: (id) => ask(() => runDetail(findRun(id))),
      readLog: ({ runId, ...query }) =>
        ask(() => {
          findRun(runId);
          return query.operationId === undefined || query.operationId === 'web-1:build:1' ? logView : { operations: [] };
        }),
      listReleases: ({ app, ...query }) =>
        ask(() => (app === 'web' ? pageOf([releaseRow], (row) => row.version, query) : unknown('APP_UNKNOWN', app))),
      listHosts: ({ app, role }) =>
        ask(() => {
          if (app !== 'web') return unknown('APP_UNKNOWN', `app ${app}`);
          return role === 'worker' ? [] : [hostView];
        }),
      showEvent: (id) => ask(() => eventRows.find((row) => row.id === id) ?? unknown('EVENT_UNKNOWN', `event ${id}`)),
      listEvents: (query = {}) => ask(() => pageOf(eventRows, (row) => row.id, query)),
      listAuditHeads: () => ask(() => ({ rows: [], next: null })),
      listAudit: (query = {}) => ask(() => pageOf(this.audit, (row) => String(row.sequence), query)),
      plan: ({ commit }) => ask(() => ({ ...planView, ...(commit === undefined ? {} : { commit }) })),
      doctor: () => ask(() => [{ instance: 'github', name: 'token', ok: false, detail: 'expired', hint: 'Make a new one.' }]),
      promote: (given) =>
        command('promote', given, () => {
          if (given.ifCanary !== undefined && given.ifCanary !== VERSION) conflict('PROMOTION_OVERTAKEN');
          if (given.ring === 'nowhere') unknown('RING_UNKNOWN', 'ring nowhere');
          return begun;
        }),
      rollback: (given) =>
        command('rollback', given, () =>
          given.ring === 'canary' ? conflict('ROLLBACK_NO_RELEASE') : { ...begun, did: ['production goes back now'] },
        ),
      cancel: (given) =>
        command('cancel', {}, () => {
          this.commands.splice(-1, 1, { actor, name: 'cancel', command: given });
          const run = findRun(given.runId);
          if (run.state === 'ended') conflict('RUN_ENDED');
          return { runId: run.id, did: ['ends the run now'] };
        }),
      retry: (given) =>
        command('retry', {}, () => {
          this.commands.splice(-1, 1, { actor, name: 'retry', command: given });
          const run = findRun(given.runId);
          if (run.state !== 'ended') conflict('RETRY_NOT_FAILED');
          return { runId: run.id, stage: 'build', attempt: 2 };
        }),
      reconcile: (given) => command('reconcile', {}, () => ({ rings: [{ ring: `web:app:canary (${given.reason})`, sequence: 7 }] })),
      listTokens: () => ask(() => [tokenView]),
      createToken: ({ name, preset }) => command('createToken', {}, () => ({ ...tokenView, name, preset, token: 'pipit_new' })),
      revokeToken: ({ name }) =>
        command('revokeToken', {}, () =>
          name === 'ci' ? { ...tokenView, revokedBy: actor.name } : unknown('TOKEN_UNKNOWN', `token ${name}`),
        ),
      follow: (options) => this.follow(options),
    };
  }

  private async *follow({ after, runId, signal }: Parameters<Api['follow']>[0]): AsyncGenerator<Change> {
    let position = after ?? this.history.length;
    signal.addEventListener('abort', () => this.wakeAll(), { once: true });
    this.followers += 1;
    try {
      while (!signal.aborted) {
        const change = this.history[position];
        if (change !== undefined) {
          position += 1;
          if (runId === undefined || runId === change.runId) yield change;
          continue;
        }
        await new Promise<void>((resolve) => {
          this.wake.push(resolve);
        });
      }
    } finally {
      this.followers -= 1;
    }
  }
}
