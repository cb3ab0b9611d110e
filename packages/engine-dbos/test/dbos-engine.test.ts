import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { useDatabases } from './support/databases.js';
import { buildProgram, type RunningProgram, runProgram } from './support/program.js';
import { waitUntil } from './support/wait-until.js';

const databases = useDatabases();
let program: Awaited<ReturnType<typeof buildProgram>>;
beforeAll(async () => {
  program = await buildProgram('replica');
});
afterAll(() => program.remove());

const TAKEN_OVER_WITHIN_MS = 15_000;

/** A database, replicas on it, and what their steps left there. */
const openWorld = async () => {
  const url = await databases.migrated();
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  await pool.query('create table effects (at serial, operation text, step text, replica text)');
  await pool.query('create table gates (operation text, step text)');
  onTestFinished(() => pool.end());

  const replica = async (executorId: string, codes = 'work.v1,careful.v1,at-once.v1,chain.v1'): Promise<RunningProgram> => {
    const running = runProgram(program.path, [url, executorId, codes]);
    await running.next('started');
    return running;
  };
  const submit = async (
    on: RunningProgram,
    id: string,
    steps: readonly string[],
    type = 'work',
    version = 1,
  ): Promise<string | undefined> => {
    on.send(`submit ${JSON.stringify({ id, type, version, input: { steps } })}`);
    return (await on.nextOf(['submitted'])).error as string | undefined;
  };
  const inspect = async (on: RunningProgram, id: string): Promise<{ state: string; reason?: string }> => {
    on.send(`inspect ${id}`);
    return on.next('inspected');
  };
  return {
    pool,
    replica,
    submit,
    inspect,
    ended: (on: RunningProgram, id: string, state = 'finished', withinMs = TAKEN_OVER_WITHIN_MS) =>
      waitUntil(`${id} ${state}`, async () => (await inspect(on, id)).state === state, withinMs),
    openGate: (id: string, step: string) => pool.query('insert into gates values ($1, $2)', [id, step]),
    /** `step@replica` in the order in which they were entered. */
    effects: async (id: string): Promise<readonly string[]> =>
      (
        await pool.query<{ step: string; replica: string }>('select step, replica from effects where operation = $1 order by at', [id])
      ).rows.map(({ step, replica }) => `${step}@${replica}`),
  };
};

describe('the engine', () => {
  it('runs an operation once, however often it is submitted', async () => {
    const world = await openWorld();
    const one = await world.replica('one');
    expect(await world.inspect(one, 'op')).toEqual({ state: 'unknown' });
    for (let times = 0; times < 5; times += 1) expect(await world.submit(one, 'op', ['a', 'b'])).toBeUndefined();
    await world.ended(one, 'op');
    await world.submit(one, 'op', ['a', 'b']);
    expect(await world.effects('op')).toEqual(['a@one', 'b@one']);
  });

  it('takes a second submit as another version for the first one', async () => {
    const world = await openWorld();
    const one = await world.replica('one', 'work.v1,work.v2');
    await world.submit(one, 'op', ['a!']);
    expect(await world.submit(one, 'op', ['a!'], 'work', 2)).toBeUndefined();
    await world.openGate('op', 'a!');
    await world.ended(one, 'op');
    expect(await world.effects('op')).toEqual(['a!@one']);
  });

  it('begins the next operation from within one', async () => {
    const world = await openWorld();
    const one = await world.replica('one');
    one.send(`submit ${JSON.stringify({ id: 'first', type: 'chain', version: 1, input: { next: 'second' } })}`);
    await world.ended(one, 'first');
    await world.ended(one, 'second');
    expect(await world.effects('second')).toEqual(['next@one']);
  });

  it('refuses an operation that it has no code for', async () => {
    const world = await openWorld();
    const one = await world.replica('one');
    expect(await world.submit(one, 'op', ['a'], 'work', 7)).toBe('OPERATION_CODE_MISSING');
    expect(await world.inspect(one, 'op')).toEqual({ state: 'unknown' });
  });

  it('ends an operation that begins two steps at once, instead of swapping their values at a replay', async () => {
    const world = await openWorld();
    const one = await world.replica('one');
    await world.submit(one, 'op', [], 'at-once');
    await world.ended(one, 'op', 'broken');
    expect((await world.inspect(one, 'op')).reason).toContain('steps never run at once');
    expect(await world.effects('op')).toEqual(['one@one']);
  });

  describe('after kill -9', () => {
    it('goes on at the step that was under way, and repeats none that had ended', async () => {
      const world = await openWorld();
      const killed = await world.replica('embedded');
      await world.submit(killed, 'op', ['a', 'b!', 'c']);
      await killed.next('waiting');
      await killed.killHard();
      const again = await world.replica('embedded');
      await world.openGate('op', 'b!');
      await world.ended(again, 'op');
      expect(await world.effects('op')).toEqual(['a@embedded', 'b!@embedded', 'b!@embedded', 'c@embedded']);
    });

    it('runs an operation with the code of its version, beside a release with a step more', async () => {
      const world = await openWorld();
      const old = await world.replica('embedded', 'work.v1');
      await world.submit(old, 'op', ['a', 'b!']);
      await old.next('waiting');
      await old.killHard();
      const upgraded = await world.replica('embedded', 'work.v1,work.v2');
      await world.openGate('op', 'b!');
      await world.submit(upgraded, 'later', ['a'], 'work', 2);
      await world.ended(upgraded, 'op');
      await world.ended(upgraded, 'later');
      expect(await world.effects('op')).toEqual(['a@embedded', 'b!@embedded', 'b!@embedded']);
      expect(await world.effects('later')).toEqual(['new@embedded', 'a@embedded']);
    });

    it('keeps an operation whose code is missing until a release that has it', async () => {
      const world = await openWorld();
      const old = await world.replica('embedded', 'work.v1');
      await world.submit(old, 'op', ['a', 'b!']);
      await old.next('waiting');
      await old.killHard();
      const without = await world.replica('embedded', 'work.v2');
      without.send('sweep');
      // It was tried and given back, which is what another replica would see.
      await waitUntil(
        'given back',
        async () => (await world.pool.query("select 1 from dbos.workflow_status where executor_id = 'nobody'")).rows.length === 1,
      );
      expect(await world.inspect(without, 'op')).toEqual({ state: 'unfinished' });
      await world.openGate('op', 'b!');
      const withCode = await world.replica('two', 'work.v1');
      withCode.send('sweep');
      await world.ended(withCode, 'op');
      expect(await world.effects('op')).toEqual(['a@embedded', 'b!@embedded', 'b!@two']);
    });

    it('gives up an operation whose steps changed under its version, without running anything of it', async () => {
      const world = await openWorld();
      const old = await world.replica('embedded', 'work.v1');
      await world.submit(old, 'op', ['a', 'b!']);
      await old.next('waiting');
      await old.killHard();
      const changed = await world.replica('embedded', 'work.v1-changed');
      await world.ended(changed, 'op', 'broken');
      expect((await world.inspect(changed, 'op')).reason).toMatch(/new/);
      expect(await world.effects('op')).toEqual(['a@embedded', 'b!@embedded']);
    });
  });

  describe('with two replicas', () => {
    it('takes over what a dead one left, within seconds', async () => {
      const world = await openWorld();
      const [one, two] = [await world.replica('one'), await world.replica('two')];
      two.send('sweep');
      await world.submit(one, 'op', ['a', 'b!', 'c']);
      await one.next('waiting');
      await world.openGate('op', 'b!');
      const killedAt = performance.now();
      // Killed before it could notice the open gate, or right after: either way the end is the same.
      await one.killHard();
      await world.ended(two, 'op');
      console.log(`taken over and ended ${Math.round(performance.now() - killedAt)} ms after the death`);
      const effects = await world.effects('op');
      expect(effects.filter((effect) => effect.startsWith('a'))).toEqual(['a@one']);
      expect(effects.at(-1)).toMatch(/^c@/);
    });

    it('leaves alone what a living one does, however long a step takes and however seldom that one sweeps', async () => {
      const world = await openWorld();
      const [one, two] = [await world.replica('one'), await world.replica('two')];
      two.send('sweep');
      await world.submit(one, 'slow', ['a!']);
      await one.next('waiting');
      // Something to measure the time by: an operation of a replica that died after `slow` began is taken over, and `slow` still is not.
      const three = await world.replica('three');
      await world.submit(three, 'orphan', ['b!']);
      await three.next('waiting');
      await three.killHard();
      await world.openGate('orphan', 'b!');
      await world.ended(two, 'orphan');
      await world.openGate('slow', 'a!');
      await world.ended(one, 'slow');
      expect(await world.effects('slow')).toEqual(['a!@one']);
    });

    it('lets one that was frozen do nothing more in an operation that was taken over', async () => {
      const world = await openWorld();
      const [one, two] = [await world.replica('one'), await world.replica('two')];
      two.send('sweep');
      await world.submit(one, 'op', ['a!', 'b!'], 'careful');
      await one.next('waiting');
      one.child.kill('SIGSTOP');
      await two.next('waiting');
      await world.openGate('op', 'a!');
      await two.next('waiting');
      // The other one is in the middle of the next step, of which nothing is recorded yet.
      one.child.kill('SIGCONT');
      // It answers again, so it has come to the end of its own step, which is refused.
      await world.submit(one, 'after', ['x', 'y', 'z']);
      await world.ended(one, 'after');
      await world.openGate('op', 'b!');
      await world.ended(two, 'op');
      expect(await world.effects('op')).toEqual(['a!@one', 'a!@two', 'b!@two']);
    });
  });

  describe('when the database is restarted', () => {
    it('ends every operation, and repeats no step that had ended', async () => {
      const world = await openWorld();
      const one = await world.replica('embedded');
      one.send('sweep');
      const ids = ['op1', 'op2', 'op3'];
      for (const id of ids) await world.submit(one, id, ['a', 'b!', 'c', 'd']);
      await waitUntil(
        'all at their gates',
        async () => (await world.pool.query("select 1 from effects where step = 'b!'")).rows.length === 3,
      );
      for (const id of ids) await world.openGate(id, 'b!');
      const restarted = new Promise((settle) => databases.server.onRestart(settle));
      process.kill(databases.server.pid, 'SIGKILL');
      await restarted;
      for (const id of ids) await world.ended(one, id, 'finished', 30_000);
      for (const id of ids) {
        const effects = await world.effects(id);
        expect(effects.filter((effect) => effect.startsWith('a'))).toHaveLength(1);
        expect(effects.at(-1)).toBe('d@embedded');
      }
    }, 90_000);

    it('dispatches again what nobody executes', async () => {
      const world = await openWorld();
      const one = await world.replica('embedded');
      // As a restart between the claim and the dispatch leaves it: this replica's, and running nowhere.
      await world.submit(one, 'other', ['x']);
      await world.ended(one, 'other');
      await world.pool.query("update dbos.workflow_status set status = 'PENDING', updated_at = 0 where workflow_uuid = 'other'");
      one.send('sweep');
      await world.ended(one, 'other');
      expect(await world.effects('other')).toEqual(['x@embedded']);
    });
  });

  describe('when it is stopped', () => {
    it('waits for the step under way, begins no further one, and goes on after the next start', async () => {
      const world = await openWorld();
      const one = await world.replica('embedded');
      await world.submit(one, 'op', ['a!', 'b']);
      await one.next('waiting');
      one.send('stop 20000');
      await world.openGate('op', 'a!');
      await one.next('stopped');
      expect(await world.effects('op')).toEqual(['a!@embedded']);
      const again = await world.replica('embedded');
      await world.ended(again, 'op');
      expect(await world.effects('op')).toEqual(['a!@embedded', 'b@embedded']);
    });

    it('leaves a step unrecorded that is not over at the deadline', async () => {
      const world = await openWorld();
      const one = await world.replica('embedded');
      await world.submit(one, 'op', ['a!', 'b']);
      await one.next('waiting');
      one.send('stop 100');
      await one.next('stopped');
      await world.openGate('op', 'a!');
      const again = await world.replica('embedded');
      await world.ended(again, 'op');
      expect(await world.effects('op')).toEqual(['a!@embedded', 'a!@embedded', 'b@embedded']);
    });

    it('records nothing of a step that was interrupted', async () => {
      const world = await openWorld();
      const one = await world.replica('embedded');
      await world.submit(one, 'op', ['a', 'b?'], 'careful');
      await waitUntil('b', async () => (await world.effects('op')).length === 2);
      one.send('stop 5000');
      await one.next('stopped');
      const { rows } = await world.pool.query("select function_name from dbos.operation_outputs where workflow_uuid = 'op'");
      expect(rows).toEqual([{ function_name: 'a' }]);
    });

    it('hands over to other replicas at once', async () => {
      const world = await openWorld();
      const [one, two] = [await world.replica('one'), await world.replica('two')];
      two.send('sweep');
      await world.submit(one, 'op', ['a!', 'b']);
      await one.next('waiting');
      one.send('stop 100');
      await one.next('stopped');
      await world.openGate('op', 'a!');
      await world.ended(two, 'op');
      expect(await world.effects('op')).toEqual(['a!@one', 'a!@two', 'b@two']);
    });
  });

  it('starts as many replicas at once on an empty database', async () => {
    const url = await databases.fresh();
    const replicas = ['one', 'two', 'three'].map((name) => runProgram(program.path, [url, name, 'work.v1']));
    for (const replica of replicas) await replica.next('started');
  }, 60_000);
});
