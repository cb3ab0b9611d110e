/** One replica of the engine in a process of its own. Arguments: URL, executor id, codes. Tells in lines of JSON, obeys lines on stdin. */
import { createInterface } from 'node:readline';
import { type EngineContext, type OperationCode, OperationInterrupted } from '@pipit/pipeline';
import pg from 'pg';
import { createDbosEngine, createKysely, createPool, migrateRecords } from '../../src/index.js';

const [, , url = '', executorId = '', wanted = ''] = process.argv;
const verbose = process.env.PIPIT_TEST_VERBOSE === '1';
const note = (level: string) => (fields: object, message: string) => {
  if (verbose) console.error(level, message, fields);
};
const logger = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
const tell = (line: object): void => console.log(JSON.stringify(line));

const pool = createPool({ url }, { max: 10, onError: () => undefined });
const effects = new pg.Pool({ connectionString: url, max: 4 });
effects.on('error', () => undefined);

/** A row for each time that a step's work was entered, so that a test sees what ran how often and where. */
const effect = async (id: string, step: string): Promise<void> => {
  for (;;) {
    try {
      await effects.query('insert into effects (operation, step, replica) values ($1, $2, $3)', [id, step, executorId]);
      return;
    } catch {
      await new Promise((settle) => setTimeout(settle, 50));
    }
  }
};

/** Waits until the test lets it go on. */
const gate = async (id: string, step: string): Promise<void> => {
  tell({ waiting: `${id}/${step}` });
  for (;;) {
    const found = await effects.query('select 1 from gates where operation = $1 and step = $2', [id, step]).catch(() => ({ rows: [] }));
    if (found.rows.length > 0) return;
    await new Promise((settle) => setTimeout(settle, 20));
  }
};

interface Plan {
  /** Names of steps; one that ends in `!` waits at its gate, one in `?` throws as an interrupted one does. */
  readonly steps: readonly string[];
}

const runPlan = async (id: string, steps: readonly string[], context: EngineContext): Promise<void> => {
  let sum = 0;
  for (const name of steps)
    sum += await context.step(name, async () => {
      await effect(id, name);
      if (name.endsWith('!')) await gate(id, name);
      if (name.endsWith('?')) throw new OperationInterrupted();
      return 1;
    });
  if (sum !== steps.length) throw new Error(`got ${sum} of ${steps.length}`);
};

const stepsOf = (input: unknown): readonly string[] => (input as Plan).steps; // written by the test

const codes: Readonly<Record<string, OperationCode>> = {
  'work.v1': { type: 'work', version: 1, run: (id, input, context) => runPlan(id, stepsOf(input), context) },
  // What a later release does: a step more.
  'work.v2': { type: 'work', version: 2, run: (id, input, context) => runPlan(id, ['new', ...stepsOf(input)], context) },
  // What must never be done: the same version with other steps.
  'work.v1-changed': { type: 'work', version: 1, run: (id, input, context) => runPlan(id, ['new', ...stepsOf(input)], context) },
  // As pipit's operations do: whatever a step throws ends in a step that records the failure.
  'careful.v1': {
    type: 'careful',
    version: 1,
    run: async (id, input, context) => {
      try {
        await runPlan(id, stepsOf(input), context);
      } catch {
        await context.step('failed', async () => {
          await effect(id, 'failed');
          return null;
        });
      }
    },
  },
  'at-once.v1': {
    type: 'at-once',
    version: 1,
    run: async (id, _input, context) => {
      const step = (name: string) =>
        context.step(name, async () => {
          await effect(id, name);
          return name;
        });
      await Promise.allSettled([step('one'), step('two')]);
    },
  },
  // Its end begins the next one, from within.
  'chain.v1': {
    type: 'chain',
    version: 1,
    run: async (id, input, context) => {
      await context.step('next', async () => {
        const { next } = input as { readonly next: string | null }; // written by the test
        if (next !== null) await engine.submit({ id: next, type: 'chain', version: 1, input: { next: null } });
        await effect(id, 'next');
        return null;
      });
    },
  },
};

const engine = createDbosEngine({ url, pool, executorId, logger });

const orders: Readonly<Record<string, (argument: string) => Promise<void>>> = {
  submit: async (argument) => {
    const operation = JSON.parse(argument) as Parameters<typeof engine.submit>[0]; // written by the test
    await engine.submit(operation).then(
      () => tell({ submitted: operation.id }),
      (error: unknown) => tell({ submitted: operation.id, error: (error as { code?: string }).code ?? String(error) }),
    );
  },
  inspect: async (id) => tell({ inspected: await engine.inspect(id) }),
  sweep: async () => {
    const sweep = (): void => {
      engine
        .sweep()
        .catch((error: unknown) => tell({ sweepFailed: (error as { code?: string }).code ?? String(error) }))
        .finally(() => setTimeout(sweep, 200));
    };
    sweep();
  },
  stop: async (deadlineMs) => {
    await engine.stop(Number(deadlineMs));
    await pool.end();
    await effects.end();
    tell({ stopped: true });
    process.exit(0);
  },
};

const db = createKysely<unknown>(pool);
await migrateRecords(db);
await engine.start(wanted.split(',').flatMap((name) => codes[name] ?? []));
tell({ started: executorId });
for await (const line of createInterface({ input: process.stdin })) {
  const [order = '', ...rest] = line.split(' ');
  // Not awaited: orders may overlap, as calls of the conductor do.
  orders[order]?.(rest.join(' ')).catch((error: unknown) => tell({ orderFailed: String(error) }));
}
