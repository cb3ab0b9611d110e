import { type Commit, type OperationCall, PluginError, type Services } from '@pipit/core';
import type { CleanupRow, EffectRequest, Effects, Engine, OperationCode, PipelineClock, Records, Sources } from '../../src/index.js';
import { callOutside } from './call-outside.js';
import type { Life } from './life.js';
import type { Outside } from './outside.js';

/** The records as one process has them: its crash rolls back what is open, and points lie around each commit. */
export const recordsOf = (records: Records, life: Life): Records => ({
  get: (table, key) => life.call(() => records.get(table, key)),
  list: (table, query) => life.call(() => records.list(table, query)),
  transaction: (work, options) =>
    life.call(async () => {
      const value = await records.transaction(
        (transaction) =>
          life.within(async () => {
            const result = await work(transaction);
            life.point('records: before the commit');
            return result;
          }),
        options,
      );
      life.point('records: after the commit');
      return value;
    }),
  enterStep: (entry) =>
    life.call(async () => {
      life.point('records: before the commit');
      const entered = await records.enterStep(entry);
      life.point('records: after the commit');
      return entered;
    }),
  exclusively: (name, work) => life.call(() => records.exclusively(name, () => life.within(work))),
});

export const clockOf = (clock: PipelineClock, life: Life): PipelineClock => ({
  now: () => clock.now(),
  monotonicMs: () => clock.monotonicMs(),
  sleep: (ms, signal) => life.call(() => clock.sleep(ms, signal)),
});

/** @param flush what the engine stores is durable at once, and with it all that the records stored before */
export const engineOf = (engine: Engine, life: Life, flush: () => void): Engine => ({
  ...engine,
  start: (codes) =>
    engine.start(
      codes.map(
        (code): OperationCode => ({
          ...code,
          run: (id, input, context) =>
            life.call(() => {
              const durably = async <T>(work: () => Promise<T>): Promise<T> => {
                const value = await life.call(work);
                flush();
                return value;
              };
              return code.run(id, input, { step: (name, work) => life.call(() => context.step(name, () => durably(work))) });
            }),
        }),
      ),
    ),
  submit: (operation) =>
    life.call(async () => {
      life.point('engine: before the submit');
      await life.call(async () => {
        flush();
        await engine.submit(operation);
      });
      life.point('engine: after the submit');
    }),
  inspect: (id) => life.call(() => engine.inspect(id)),
  sweep: () => life.call(() => engine.sweep()),
});

/** A fake git. */
export const sourcesOf = (outside: Outside, life: Life): Sources => ({
  readHead: (repository, ref) =>
    callOutside(outside, life, 'sources.readHead', () => {
      const commit = outside.repositories.get(repository.id)?.refs.get(ref);
      return commit && { commit, object: outside.tags.get(ref) ?? commit };
    }),
  fetchCommit: (repository, _ref, sha) =>
    callOutside(outside, life, 'sources.fetchCommit', (): Commit => {
      const commit = outside.repositories.get(repository.id)?.commits.get(sha);
      if (commit === undefined)
        throw new PluginError({ code: 'COMMIT_NOT_FOUND', message: `${repository.name} has no commit ${sha}`, recovery: 'stop' });
      return { repository, sha, committedAt: commit.committedAt };
    }),
  readFacts: (_commit, app) =>
    callOutside(outside, life, 'sources.readFacts', () => ({
      metadata: { description: app, depends: [], architectures: ['amd64'], prefix: `/opt/${app}`, configFiles: [], services: [] },
      baseVersion: undefined,
      role: undefined,
      health: { type: 'tcp', port: 80, withinMs: 1_000 },
    })),
});

const unused = (): never => {
  throw new Error('the simulated parts use no shell, no files and no connection');
};

/** Contexts of effects, with folders that are names in a set and rows in the clean-up table, as the runtime keeps them. */
export const effectsOf = (ports: { outside: Outside; records: Records; clock: PipelineClock; life: Life }): Effects => {
  const { outside, records, clock, life } = ports;
  const opOf = (request: EffectRequest): OperationCall & Services => ({
    signal: request.signal,
    deadline: new Date(clock.now().getTime() + request.deadlineMs),
    logger: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
    clock,
    random: () => 0.5,
    key: request.key,
    attempt: request.attempt,
    report: ({ message }) => request.onReport(message),
    shell: { folder: '/nowhere', run: unused, write: unused, read: unused },
    files: { put: unused, get: unused },
    callbackUrl: 'http://127.0.0.1/hooks/ci',
    connect: unused,
    get source() {
      const { commit } = request;
      if (commit === undefined) return unused();
      return { commit, readText: unused, checkOut: unused };
    },
  });
  return {
    openLog: () => ({ write: (piece) => piece, flush: () => '' }),
    run: (request, work) =>
      life.call(async () => {
        if (request.folder === 'none') return work(opOf(request));
        const id = `${request.key}@${request.part.instance}`;
        const row: CleanupRow = {
          id,
          kind: 'folder',
          target: id,
          operationId: request.operationId,
          createdAt: clock.now().toISOString(),
          lastError: null,
        };
        await recordsOf(records, life).transaction((transaction) => transaction.insert('cleanups', row));
        outside.folders.add(id);
        life.point('effects: the folder is made');
        try {
          return await life.call(() => work(opOf(request)));
        } finally {
          if (request.folder === 'attempt' && !life.dead) {
            outside.folders.delete(id);
            await recordsOf(records, life).transaction((transaction) => transaction.remove('cleanups', { id }));
          }
        }
      }),
    removeFolder: ({ target }) =>
      callOutside(outside, life, 'effects.removeFolder', () => {
        if (outside.stuckFolders.has(target)) throw new Error('its host does not answer');
        outside.folders.delete(target);
      }),
  };
};
