import {
  type ChangeEvent,
  type HookRequest,
  type Lifecycle,
  parseCommitSha,
  parseRefName,
  type Received,
  type RepositoryRef,
  type Trigger,
} from '@pipit/core';
import { expect } from 'vitest';
import { createTestCall, type TestCallOptions } from '../context/test-call.js';
import { type Check, inWorld, notApplicable, registerChecks, type World } from './check.js';
import { abortedSignal, expectCursor, expectPlainJson, expectPromptEnd } from './expectations.js';
import { watchIo } from './watch-io.js';

export interface TriggerWorld extends World {
  /** A fresh instance over the same provider, as on another machine. */
  reopen(): Promise<{ readonly trigger: Trigger } & Pick<Lifecycle, 'receive'>>;
  /** The repository that the good request and {@link TriggerWorld.push} are about. */
  readonly repository: Pick<RepositoryRef, 'id' | 'name'>;
  /** One push, as the provider really sends it. Absent where the trigger has no hook. */
  readonly hook?: {
    readonly good: HookRequest;
    /** What the good request has to become. */
    readonly expected: Pick<ChangeEvent, 'ref' | 'sha'>;
    /** Requests to refuse, each by the name of its fault: no signature, a wrong content type, broken JSON. */
    readonly bad: Readonly<Record<string, HookRequest>>;
    /** Whether the body is signed; default true. Then a body changed by one byte has to be refused. */
    readonly signed?: boolean;
  };
  /** Pushes a commit to the repository, from outside, and says what has to be told. Absent where the trigger does not poll. */
  push?(): Promise<Pick<ChangeEvent, 'ref' | 'sha'>>;
}

export interface TriggerHarness {
  open(): Promise<TriggerWorld>;
}

const MAX_KEY_CHARACTERS = 200;

const expectEvent = (event: ChangeEvent, world: TriggerWorld, expected: Pick<ChangeEvent, 'ref' | 'sha'>): void => {
  expectPlainJson(event, 'the change event');
  expect(event).toMatchObject({ ...expected, repository: world.repository });
  expect(event.key.length, 'the length of the key').toBeGreaterThan(0);
  expect(event.key.length, 'the length of the key').toBeLessThanOrEqual(MAX_KEY_CHARACTERS);
  expect(parseRefName(event.ref)).toBe(event.ref);
  for (const sha of [event.sha, event.before]) if (typeof sha === 'string') expect(parseCommitSha(sha)).toBe(sha);
  expect(event.repository.url, 'the URL of the repository').not.toMatch(/\/\/[^/]*:[^/]*@/);
};

const changesOf = (received: Received): readonly ChangeEvent[] => {
  if ('refused' in received) return expect.fail(`the good request was refused: ${received.refused}`);
  return received.accepted.flatMap((inbound) => (inbound.type === 'change' ? [inbound.event] : []));
};

const expectRefused = (received: Received, what: string): void => {
  if (!('refused' in received)) throw new Error(`${what} was accepted`);
  expectPlainJson(received, 'the refusal');
  expect(received.refused, `what is said about ${what}`).toMatch(/\S/);
  expect(received.code, `the code for ${what}`).toMatch(/^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/);
  expect([400, 401, 403, 404, 413, 415], `the status for ${what}`).toContain(received.status);
};

/** A digit or letter beside the last one, so that an id stays an id. */
const changeLastCharacter = (text: string): string => `${text.slice(0, -1)}${text.endsWith('0') ? '1' : '0'}`;

const changeOneByte = (request: HookRequest): HookRequest => {
  const body = Uint8Array.from(request.body);
  const middle = Math.floor(body.length / 2);
  body[middle] = (body[middle] ?? 0) ^ 1;
  return { ...request, body };
};

/** What {@link Trigger} and its `receive` promise, one check each. */
export const triggerChecks = (): readonly Check<TriggerHarness>[] => {
  const check = (name: string, run: (world: TriggerWorld) => Promise<void>): Check<TriggerHarness> => ({ name, run: inWorld(run) });
  const hookOf = (world: TriggerWorld) => world.hook ?? notApplicable('it has no hook');
  const receive = async (world: TriggerWorld, request: HookRequest): Promise<Received> => {
    const instance = await world.reopen();
    if (instance.receive === undefined) return expect.fail('the harness has a hook, but the instance has no receive');
    return instance.receive(request, createTestCall());
  };
  const poll = async (world: TriggerWorld, after: string | undefined, call: TestCallOptions = {}) => {
    const { trigger } = await world.reopen();
    if (trigger.poll === undefined) return notApplicable('it does not poll');
    return trigger.poll(after, createTestCall(call));
  };
  const push = async (world: TriggerWorld) => (world.push === undefined ? notApplicable('this harness cannot push') : world.push());

  return [
    check('has a way to tell: a hook or a poll', async (world) => {
      const { trigger, receive } = await world.reopen();
      expect(trigger.poll !== undefined || receive !== undefined).toBe(true);
      expect(world.hook !== undefined || world.push !== undefined, 'the harness tries a hook or a poll').toBe(true);
    }),
    check('turns a push into one change event', async (world) => {
      const { good, expected } = hookOf(world);
      const changes = changesOf(await receive(world, good));
      expect(changes.length).toBe(1);
      for (const event of changes) expectEvent(event, world, expected);
    }),
    check('gives a redelivery the same key, in a fresh instance too', async (world) => {
      const { good } = hookOf(world);
      expect(changesOf(await receive(world, good))).toEqual(changesOf(await receive(world, good)));
    }),
    check('gives a signed body one key, whatever is changed beside it', async (world) => {
      const { good, signed = true } = hookOf(world);
      if (!signed) notApplicable('its requests are not signed');
      const [expected] = changesOf(await receive(world, good));
      for (const [name, value] of Object.entries(good.headers)) {
        const received = await receive(world, { ...good, headers: { ...good.headers, [name]: changeLastCharacter(value) } });
        const changes = 'refused' in received ? [] : changesOf(received);
        for (const event of changes) expect(event.key, `the key with another ${name}`).toBe(expected?.key);
      }
    }),
    check('refuses each bad request with a code, a status and a sentence', async (world) => {
      const { bad } = hookOf(world);
      expect(Object.keys(bad).length, 'bad requests of the harness').toBeGreaterThan(0);
      for (const [fault, request] of Object.entries(bad)) expectRefused(await receive(world, request), fault);
    }),
    check('refuses a body that was changed by one byte', async (world) => {
      const { good, signed = true } = hookOf(world);
      if (!signed) notApplicable('its requests are not signed');
      expectRefused(await receive(world, changeOneByte(good)), 'a changed body');
    }),
    check('reaches no file, network or process while it verifies', async (world) => {
      const { good, bad } = hookOf(world);
      const instance = await world.reopen();
      for (const request of [good, ...Object.values(bad)]) {
        const { io } = await watchIo(async () => instance.receive?.(request, createTestCall()));
        expect(io, 'what receive did outside of the process').toEqual([]);
      }
    }),
    check('polls a push once its cursor stands before it, and no more once it stands behind', async (world) => {
      const begin = await poll(world, undefined);
      expectCursor(begin.cursor);
      const expected = await push(world);
      const found = await poll(world, begin.cursor);
      const told = found.events.filter((event) => event.sha === expected.sha);
      expect(told.length, 'events for one push').toBe(1);
      for (const event of told) expectEvent(event, world, expected);
      expect((await poll(world, found.cursor)).events).toEqual([]);
    }),
    check('polls the same events again with the same cursor', async (world) => {
      const { cursor } = await poll(world, undefined);
      await push(world);
      expect((await poll(world, cursor)).events).toEqual((await poll(world, cursor)).events);
    }),
    check('ends a poll promptly when its signal is aborted already', async (world) => {
      await expectPromptEnd(poll(world, undefined, { signal: abortedSignal() }), 'a poll');
      await poll(world, undefined); // shows as skipped where there is no poll
    }),
    check('gives pipit a way to read the repository that is never printed', async (world) => {
      const { trigger } = await world.reopen();
      if (trigger.access === undefined) return notApplicable('its repositories are read without a credential');
      const repository = { url: 'https://example.org/repository.git', ...world.repository };
      const credentials = await trigger.access(repository, createTestCall());
      if (credentials === undefined) return notApplicable('this repository is read without a credential');
      const secret = 'password' in credentials ? credentials.password : credentials.privateKey;
      expect(JSON.stringify(credentials)).not.toContain(secret.reveal());
    }),
  ];
};

/** Registers a test for each promise of {@link Trigger}. */
export const testTrigger = (name: string, harness: TriggerHarness): void => registerChecks(`${name} as trigger`, triggerChecks(), harness);
