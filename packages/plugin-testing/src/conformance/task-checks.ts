import { setTimeout as delay } from 'node:timers/promises';
import type { Handle, Op, Services, Started, Task, TaskState } from '@pipit/core';
import { expect } from 'vitest';
import { type Check, inWorld, notApplicable, type World } from './check.js';
import { abortedSignal, expectHandle, expectPlainJson, expectPromptEnd, thrownBy } from './expectations.js';

/** How long the suite waits between two looks at a task that answers at once. */
const LOOK_AGAIN_MS = 25;
const DEFAULT_END_TIMEOUT_MS = 60_000;

/** A place in which one task can be tried: the vendor (or a faithful fake of it), and a request. */
export interface TaskWorld<Request, S extends keyof Services> extends World {
  /** A request that ends well. */
  readonly good: Request;
  /** A request that ends badly: its tests fail, its install fails. */
  readonly bad: Request;
  /** The context for a key. The same key must get the same folder each time, as pipit gives it. */
  createOp(options: {
    readonly key: string;
    readonly request: Request;
    readonly signal?: AbortSignal;
    readonly timeoutMs?: number;
  }): Promise<Op<S>>;
  /** Lets the vendor's work go on by a little, where the vendor is a fake that needs it. */
  proceed?(): Promise<void>;
  /** How many effects (builds, batches) there have been, where that can be counted. */
  countEffects?(): Promise<number>;
  /** A handle that the vendor never gave, or has forgotten. Absent where a handle cannot be forgotten. */
  readonly forgottenHandle?: Handle;
  /** How long a task may take here, in real milliseconds; default 60,000. */
  readonly endTimeoutMs?: number;
}

/** What the checks need to know beside the world: how to see the task in it, and how to read its results. */
export interface TaskFace<W, Request, Result, S extends keyof Services> {
  /** The task of a fresh instance over the same vendor, as after a restart on another machine. */
  reopen(world: W): Promise<Task<Request, Result, S>>;
  expectGood(world: W, result: Result): void;
  expectBad(world: W, result: Result): void;
}

const KEY = 'operation-1:step:1';
const RETRY_KEY = 'operation-1:step:2';

/** Looks at a task until it has ended, following better handles as pipit does. */
export const untilEnded = async <Request, Result, S extends keyof Services>(
  world: TaskWorld<Request, S>,
  task: Task<Request, Result, S>,
  started: Started<Request>,
  key: string,
): Promise<Result> => {
  const giveUp = AbortSignal.timeout(world.endTimeoutMs ?? DEFAULT_END_TIMEOUT_MS);
  let { handle } = started;
  while (!giveUp.aborted) {
    const op = await world.createOp({ key, request: started.request });
    const state: TaskState<Result> = await task.inspect({ ...started, handle }, op);
    expectPlainJson(state, 'the state of a task');
    if (state.state === 'ended') return state.result;
    if (state.state === 'lost') return expect.fail(`the task was lost: ${state.reason}`);
    if (state.handle !== undefined) expectHandle(state.handle);
    handle = state.handle ?? handle;
    await world.proceed?.();
    await delay(LOOK_AGAIN_MS);
  }
  return expect.fail('the task did not end in time');
};

/** The promises of {@link Task} that a build and a rollout share. */
export const taskChecks = <W extends TaskWorld<Request, S>, Request, Result, S extends keyof Services>(
  face: TaskFace<W, Request, Result, S>,
): readonly Check<{ open(): Promise<W> }>[] => {
  const begin = async (world: W, request: Request, key = KEY): Promise<Started<Request>> => {
    const task = await face.reopen(world);
    return { request, handle: await task.start(request, await world.createOp({ key, request })) };
  };
  const check = (name: string, run: (world: W) => Promise<void>): Check<{ open(): Promise<W> }> => ({ name, run: inWorld(run) });

  return [
    check('finds nothing before the start', async (world) => {
      const task = await face.reopen(world);
      expect(await task.find(world.good, await world.createOp({ key: KEY, request: world.good }))).toBeUndefined();
    }),
    check('starts with a handle that a fresh instance brings to a good end', async (world) => {
      const started = await begin(world, world.good);
      expectHandle(started.handle);
      face.expectGood(world, await untilEnded(world, await face.reopen(world), started, KEY));
    }),
    check('finds in a fresh instance what was started, at once and after its end, without a second effect', async (world) => {
      const started = await begin(world, world.good);
      const early = await (await face.reopen(world)).find(world.good, await world.createOp({ key: KEY, request: world.good }));
      expectHandle(early);
      await untilEnded(world, await face.reopen(world), started, KEY);
      const late = await (await face.reopen(world)).find(world.good, await world.createOp({ key: KEY, request: world.good }));
      for (const handle of [early, late]) {
        expectHandle(handle);
        const found = { request: world.good, handle: handle ?? '' };
        face.expectGood(world, await untilEnded(world, await face.reopen(world), found, KEY));
      }
      if (world.countEffects !== undefined) expect(await world.countEffects(), 'effects after one start').toBe(1);
    }),
    check('gives the same end each time it is asked', async (world) => {
      const started = await begin(world, world.good);
      const first = await untilEnded(world, await face.reopen(world), started, KEY);
      expect(await untilEnded(world, await face.reopen(world), started, KEY)).toEqual(first);
    }),
    check('ends a bad request as a result and not as an error', async (world) => {
      const started = await begin(world, world.bad);
      face.expectBad(world, await untilEnded(world, await face.reopen(world), started, KEY));
    }),
    check("does not find an ended try for a person's retry, which raises the key's last part", async (world) => {
      const started = await begin(world, world.bad);
      await untilEnded(world, await face.reopen(world), started, KEY);
      const task = await face.reopen(world);
      expect(await task.find(world.bad, await world.createOp({ key: RETRY_KEY, request: world.bad }))).toBeUndefined();
    }),
    check('starts nothing when its signal is aborted already', async (world) => {
      const task = await face.reopen(world);
      const op = await world.createOp({ key: KEY, request: world.good, signal: abortedSignal() });
      await thrownBy(task.start(world.good, op), 'a start with an aborted signal');
      expect(
        await task.find(world.good, await world.createOp({ key: KEY, request: world.good })),
        'what find sees after an aborted start',
      ).toBeUndefined();
    }),
    check('ends an inspection promptly when its signal is aborted', async (world) => {
      const started = await begin(world, world.good);
      const controller = new AbortController();
      const task = await face.reopen(world);
      const looking = task.inspect(started, await world.createOp({ key: KEY, request: world.good, signal: controller.signal }));
      controller.abort(new Error('Aborted by the conformance suite'));
      await expectPromptEnd(looking, 'inspect');
      face.expectGood(world, await untilEnded(world, await face.reopen(world), started, KEY));
    }),
    check('says that a forgotten handle is lost', async (world) => {
      const handle = world.forgottenHandle ?? notApplicable('this harness has no handle that can be forgotten');
      const op = await world.createOp({ key: KEY, request: world.good });
      const state = await (await face.reopen(world)).inspect({ handle, request: world.good }, op);
      expect(state).toMatchObject({ state: 'lost', reason: expect.stringMatching(/\S/) });
    }),
    check('reads the log by a cursor that works in a fresh instance, and nothing twice', async (world) => {
      const started = await begin(world, world.good);
      const reader = await face.reopen(world);
      if (reader.readLog === undefined) notApplicable('it has no log');
      await untilEnded(world, reader, started, KEY);
      const read = async (after: string | undefined): Promise<{ readonly text: string; readonly cursor: string }> => {
        const task = await face.reopen(world);
        const op = await world.createOp({ key: KEY, request: world.good });
        return (await task.readLog?.(started, after, op)) ?? expect.fail('readLog disappeared in a fresh instance');
      };
      let whole = '';
      let part = await read(undefined);
      for (let parts = 0; part.text !== ''; parts += 1) {
        expect(parts, 'the pieces of a log that has ended').toBeLessThan(10_000);
        whole += part.text;
        part = await read(part.cursor);
      }
      expect(whole, 'the log of a good request').not.toBe('');
      expectPlainJson(part, 'a piece of the log');
      expect((await read(undefined)).text, 'the log read again from its beginning').not.toBe('');
    }),
    check('cancels without harm, also twice and after the end', async (world) => {
      const started = await begin(world, world.good);
      const cancel = async (): Promise<void> => {
        const task = await face.reopen(world);
        if (task.cancel === undefined) notApplicable('it cannot be cancelled');
        await task.cancel?.(started, await world.createOp({ key: KEY, request: world.good }));
      };
      await cancel();
      await cancel();
      const result = await untilEnded(world, await face.reopen(world), started, KEY);
      await cancel();
      expect(await untilEnded(world, await face.reopen(world), started, KEY), 'the result after a cancel that came too late').toEqual(
        result,
      );
    }),
  ];
};
