/**
 * Recorded histories of every released version of every operation, replayed by today's code: an operation that was suspended under an older
 * release goes on only if its code still takes the same steps in the same order. A changed order needs a new version beside the old code.
 * `PIPIT_RECORD_HISTORIES=1 npx vitest run packages/engine-dbos/test/replay-histories` records what has no fixture yet; it never changes one that is there.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Json } from '@pipit/core';
import {
  createOperationCodes,
  type EngineContext,
  type MemoryJournal,
  OPERATION_VERSIONS,
  type OperationCode,
  type OperationPorts,
} from '@pipit/pipeline';
import { describe, expect, it, vi } from 'vitest';
import { World, type WorldOptions } from '../../pipeline/test/world/world.js';

const FOLDER = fileURLToPath(new URL('__fixtures__/histories', import.meta.url));

interface History {
  readonly operation: { readonly id: string; readonly type: string; readonly version: number; readonly input: Json };
  readonly steps: readonly { readonly name: string; readonly value: Json }[];
}

/** What the in-memory engine of a world wrote down. */
const journals: MemoryJournal[] = vi.hoisted(() => []);
vi.mock(import('../../pipeline/src/memory/memory-engine.js'), async (original) => {
  const module = await original();
  return {
    ...module,
    createMemoryJournal: () => {
      const journal = module.createMemoryJournal();
      journals.push(journal);
      return journal;
    },
  };
});

/** Runs that between them take every way through the operations. */
const SCENARIOS: Readonly<Record<string, { readonly options?: WorldOptions; act(world: World): Promise<unknown> }>> = {
  delivered: { act: (world) => world.deliver() },
  'ci-failed': {
    act: async (world) => {
      await world.push({ plan: { ci: 'fails' } });
      await world.settle();
    },
  },
  'package-failed': {
    act: async (world) => {
      await world.push({ plan: { packaging: 'fails' } });
      await world.settle();
    },
  },
  'install-failed': {
    act: async (world) => {
      await world.deliver();
      await world.push({ plan: { release: 'fails to install' } });
      await world.settle();
    },
  },
  unhealthy: {
    act: async (world) => {
      await world.deliver();
      await world.push({ plan: { release: 'unhealthy' } });
      await world.settle();
    },
  },
  cancelled: {
    act: async (world) => {
      await world.push({ plan: { inspections: 50 } });
      await world.untilRun(1, { stage: 'build' });
      await world.cancel('web-1');
      await world.settle();
    },
  },
};

const fileOf = (scenario: string, { operation }: History): string =>
  `${operation.type}.v${operation.version}.${scenario}.${operation.id.replaceAll(/[^a-z0-9.-]+/gi, '_')}.json`;

/** The way an operation took: its steps and how each ended. */
const wayOf = ({ operation, steps }: History): string =>
  [
    operation.type,
    operation.version,
    ...steps.map(({ name, value }) => `${name}=${JSON.stringify((value as { ok?: boolean } | null)?.ok)}`),
  ].join(' '); // null after `finish`

const recordScenario = async (scenario: string): Promise<readonly string[]> => {
  const { options, act } = SCENARIOS[scenario] ?? { act: async () => undefined };
  journals.length = 0;
  const world = new World(options);
  await act(world);
  await world.stop();
  const written: string[] = [];
  const known = new Set((await readHistories()).map(([, history]) => wayOf(history)));
  for (const { operation, journal } of journals.flatMap((each) => [...each.values()])) {
    const history: History = { operation, steps: journal };
    written.push(wayOf(history));
    if (known.has(wayOf(history))) continue;
    known.add(wayOf(history));
    await writeFile(join(FOLDER, fileOf(scenario, history)), `${JSON.stringify(history, undefined, 2)}\n`, { flag: 'wx' });
  }
  return written;
};

/** Replays a history: every step gives what is recorded of it, and nothing else may be asked of anybody. */
const replay = async ({ operation, steps }: History, change: (code: OperationCode) => OperationCode = (code) => code): Promise<void> => {
  const faults: string[] = [];
  const forbid = (name: string) =>
    new Proxy(
      {},
      {
        get: (_target, member) => () => {
          faults.push(`${name}.${String(member)} was used outside a step`);
          throw new Error(faults.at(-1));
        },
      },
    );
  const ports = {
    ...Object.fromEntries(['records', 'logs', 'sources', 'effects', 'catalog', 'clock', 'hints'].map((name) => [name, forbid(name)])),
    logger: {
      debug: () => {},
      info: () => {},
      warn: () => {},
      error: (fields: object, message: string) => faults.push(`${message}: ${JSON.stringify(fields)}`),
    },
    random: () => 0.5,
    observer: {},
    stopping: new AbortController().signal,
    onOperationEnded: () => {},
  } as unknown as OperationPorts; // whatever of it is used is a fault
  const code = createOperationCodes(ports).find((each) => each.type === operation.type && each.version === operation.version);
  if (code === undefined) throw new Error(`There is no code for ${operation.type} version ${operation.version} any more`);
  let position = 0;
  const context: EngineContext = {
    step: async (name, _work) => {
      const recorded = steps[position];
      position += 1;
      if (recorded?.name !== name) {
        faults.push(`step ${position} was ${recorded?.name ?? 'the end'} and is now ${name}`);
        throw new Error(faults.at(-1));
      }
      return structuredClone(recorded.value) as never; // recorded of the same step
    },
  };
  await change(code)
    .run(operation.id, operation.input, context)
    .catch((error: unknown) => faults.push(String(error)));
  if (position < steps.length) faults.push(`ended before step ${position + 1}, ${steps[position]?.name}`);
  if (faults.length > 0) throw new Error(faults[0]);
};

const readHistories = async (): Promise<readonly (readonly [string, History])[]> => {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith('.json')).toSorted();
  return Promise.all(names.map(async (name) => [name, JSON.parse(await readFile(join(FOLDER, name), 'utf8')) as History] as const)); // written by recordScenario
};

if (process.env.PIPIT_RECORD_HISTORIES === '1')
  describe('recording', () => {
    it.each(Object.keys(SCENARIOS))('writes down %s', async (scenario) => {
      expect((await recordScenario(scenario)).length).toBeGreaterThan(0);
    });
  });

describe('recorded histories', async () => {
  const histories = await readHistories();

  it('are there for the current version of every operation', () => {
    const recorded = new Set(histories.map(([, { operation }]) => `${operation.type}.v${operation.version}`));
    expect([...recorded]).toEqual(
      expect.arrayContaining(Object.entries(OPERATION_VERSIONS).map(([type, version]) => `${type}.v${version}`)),
    );
  });

  it.each(histories)('%s replays', async (_name, history) => {
    await replay(history);
  });

  it.each(histories)('%s replays as far as it had come, at whichever step it was suspended', async (_name, history) => {
    // What comes after the recorded part is new: the first step asked for there ends this replay.
    for (let length = 1; length < history.steps.length; length += 1)
      await expect(replay({ ...history, steps: history.steps.slice(0, length) })).rejects.toThrow(
        `step ${length + 1} was the end and is now ${history.steps[length]?.name}`,
      );
  });

  it('do not replay with code that has a step more', async () => {
    const [, history] = histories[0] ?? ['', undefined];
    if (history === undefined) throw new Error('nothing is recorded');
    const withMore = (code: OperationCode): OperationCode => ({
      ...code,
      run: (id, input, context) => context.step('new', async () => null).then(() => code.run(id, input, context)),
    });
    await expect(replay(history, withMore)).rejects.toThrow('is now new');
  });
});
