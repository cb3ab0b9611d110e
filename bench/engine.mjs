// What a run costs beyond the durable steps it is made of: the real conductor, operations and DBOS engine with plugins that return at once,
// beside bare DBOS workflows with as many bare steps, and beside the least that keeping pipit's records with them costs, in the same process on
// the same database.
import { join } from 'node:path';
import { DBOS } from '@dbos-inc/dbos-sdk';
import { startDatabase } from './support/database.mjs';
import { makeFolder } from './support/folder.mjs';
import { aim, heading, note, table } from './support/report.mjs';
import { createNoopPlugins, hostOf, startSimulatedPipit } from './support/simulated-pipit.mjs';
import { median } from './support/statistics.mjs';

const quick = process.argv.includes('--quick');
const ROUNDS = quick ? 2 : 5;
/** Runs one after the other: latency. */
const SERIAL = quick ? 3 : 10;
/** Runs of as many apps at once: throughput. */
const PARALLEL = 8;

heading(
  'engine',
  `  A run from its webhook to production (build, package, publish, canary, production), with plugins that return at once.
  Bare: as many DBOS workflows, one after the other, with as many steps that return null, counted in DBOS's own tables after a run.
  Beyond those, pipit also stores the event, the run's moves from stage to stage, rows of steps, their logs, rollouts and hosts.
  Least: the bare workflows, and for each thing that pipit has to store on its way one prepared statement and nothing else: no lock, no
  judgement, no log. A step's beginning before its work and its end behind it, an operation's, a look and a move of the run before each operation
  and at the end, the event, the run and its end durable at once, three writes a rollout.`,
);

const { folder, remove } = makeFolder();
const database = await startDatabase(join(folder, 'database'));
let pipit;
try {
  const timings = new Map();
  let inOperations = 0;
  const bare = DBOS.registerWorkflow(
    async (steps) => {
      for (let index = 0; index < steps; index += 1) await DBOS.runStep(async () => null, { name: `step${index}` });
    },
    { name: 'bare' },
  );
  let rows = 0;
  const body = 'x'.repeat(300);
  const writeLeast = (durable) => {
    rows += 1;
    const soon = durable === 'soon';
    return pipit.pool.query({
      name: `least-${durable}`,
      text: `${soon ? "with soon as materialized (select set_config('synchronous_commit', 'off', true))" : ''} insert into least (id, body, at)
        select $1, $2, $3${soon ? ' from soon' : ''} on conflict (id) do update set body = excluded.body`,
      values: [`row-${rows}`, body, new Date().toISOString()],
    });
  };
  /** Rows in as few questions as can be, beside the steps. The first and the last step of an operation begin and end it. */
  const least = DBOS.registerWorkflow(
    async (steps, writes) => {
      for (let index = 0; index < steps; index += 1)
        await DBOS.runStep(
          async () => {
            await writeLeast('soon');
            if (index > 0 && index < steps - 1) await writeLeast('soon');
            if (index < writes) await writeLeast('soon');
            return null;
          },
          { name: `step${index}` },
        );
    },
    { name: 'least' },
  );
  pipit = await startSimulatedPipit({
    url: database.url,
    rings: ['canary', 'production'],
    plugins: createNoopPlugins({ hosts: (ring) => [hostOf(`${ring}1`)] }),
    observer: {
      onStep: ({ operationId, step, phase }) => {
        // The first step that the pipeline tells of follows `begin`; its own start is in DBOS's row.
        if (phase === 'before' && !timings.has(operationId)) timings.set(operationId, performance.now());
        if (step === 'finish' && phase === 'after') {
          inOperations += performance.now() - (timings.get(operationId) ?? 0);
          timings.delete(operationId);
        }
      },
    },
  });
  const numbers = new Map();
  const run = (app) => {
    const number = (numbers.get(app) ?? 0) + 1;
    numbers.set(app, number);
    return pipit.deliver(app, number);
  };
  const query = async (text, values = []) => (await pipit.pool.query(text, values)).rows;

  await run('warm');
  const shape = await query(
    `select status.workflow_uuid, count(outputs.function_id)::int as steps from dbos.workflow_status status
     left join dbos.operation_outputs outputs using (workflow_uuid) where workflow_uuid like 'warm-1:%' group by 1, status.created_at order by status.created_at`,
  );
  const steps = shape.map((row) => row.steps);
  const stepsARun = steps.reduce((sum, each) => sum + each, 0);
  let bares = 0;
  const runBare = async () => {
    bares += 1;
    const id = bares;
    for (const [index, count] of steps.entries())
      await (await DBOS.startWorkflow(bare, { workflowID: `bare-${id}-${index}` })(count)).getResult();
  };

  await query('create table least (id text primary key, body text not null, at timestamptz not null)');
  const look = () => pipit.pool.query({ name: 'least-look', text: 'select * from least where id = $1', values: [`row-${rows}`] });
  let leasts = 0;
  const runLeast = async () => {
    leasts += 1;
    const id = leasts;
    // The event, then the run.
    for (let written = 0; written < 2; written += 1) await writeLeast('at once');
    for (const [index, count] of steps.entries()) {
      await look();
      await writeLeast('soon');
      const isRollout = index >= steps.length - 2;
      await (await DBOS.startWorkflow(least, { workflowID: `least-${id}-${index}` })(count, isRollout ? 3 : 0)).getResult();
    }
    await look();
    await writeLeast('at once');
  };

  const commitsOf = async (work) => {
    const read = async () => {
      // Statistics of a backend that works are told once a second at most.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      const [row] = await query(`select xact_commit::int as commits, (select wal_records::int from pg_stat_wal) as records,
        (select wal_bytes::float from pg_stat_wal) as bytes from pg_stat_database where datname = current_database()`);
      return row;
    };
    const before = await read();
    await work();
    const after = await read();
    return { commits: after.commits - before.commits, kilobytes: (after.bytes - before.bytes) / 1024 };
  };
  const repeat = (work) => async () => {
    for (let index = 0; index < SERIAL; index += 1) await work();
  };
  const timed = async (work) => {
    const from = performance.now();
    await work();
    return performance.now() - from;
  };

  const results = { pipit: [], bare: [], least: [], operations: [], pipitMany: [], bareMany: [] };
  const apps = Array.from({ length: PARALLEL }, (_, index) => `app${index}`);
  for (const app of apps) await run(app);
  for (let index = 0; index < 3; index += 1) {
    await runBare();
    await runLeast();
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    results.bare.push((await timed(repeat(runBare))) / SERIAL);
    results.least.push((await timed(repeat(runLeast))) / SERIAL);
    inOperations = 0;
    results.pipit.push((await timed(repeat(() => run('serial')))) / SERIAL);
    results.operations.push(inOperations / SERIAL);
    results.bareMany.push(
      (await timed(() => Promise.all(apps.map(repeat(runBare).bind(null))).then(() => undefined))) / (SERIAL * PARALLEL),
    );
    results.pipitMany.push((await timed(() => Promise.all(apps.map((app) => repeat(() => run(app))())))) / (SERIAL * PARALLEL));
  }
  const commits = { bare: await commitsOf(repeat(runBare)), pipit: await commitsOf(repeat(() => run('serial'))) };
  const of = (name) => median(results[name]);
  note(`A run is ${steps.length} operations with ${stepsARun} durable steps (${steps.join(' + ')}).`);
  console.log('');
  table(
    ['', 'ms a run', 'ms a step', 'times bare'],
    [
      ['one at a time: bare DBOS', of('bare'), of('bare') / stepsARun, 1],
      ['one at a time: least', of('least'), of('least') / stepsARun, of('least') / of('bare')],
      ['one at a time: pipit, whole run', of('pipit'), of('pipit') / stepsARun, of('pipit') / of('bare')],
      [
        'one at a time: pipit, inside operations',
        of('operations'),
        of('operations') / (stepsARun - steps.length),
        of('operations') / (stepsARun - steps.length) / (of('bare') / stepsARun),
      ],
      [`${PARALLEL} at once: bare DBOS`, of('bareMany'), of('bareMany') / stepsARun, 1],
      [`${PARALLEL} at once: pipit, whole run`, of('pipitMany'), of('pipitMany') / stepsARun, of('pipitMany') / of('bareMany')],
    ],
  );
  table(
    ['', 'transactions a run', 'WAL kB a run'],
    ['bare', 'pipit'].map((name) => [name, commits[name].commits / SERIAL, commits[name].kilobytes / SERIAL]),
  );
  aim('cost of a run, of bare DBOS steps', of('pipit') / of('bare'), 'x', { atMost: 1.5 });
} finally {
  await pipit?.stop();
  await database.stop();
  remove();
}
