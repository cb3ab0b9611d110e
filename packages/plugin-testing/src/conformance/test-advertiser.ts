import type { Advertisement, Advertiser, RingRef } from '@pipit/core';
import { expect } from 'vitest';
import { createTestCall, type TestCallOptions } from '../context/test-call.js';
import { createTestOp, type TestOpOptions } from '../context/test-op.js';
import { type Check, inWorld, notApplicable, registerChecks, type World } from './check.js';
import { abortedSignal, expectCursor, expectPlainJson, expectPromptEnd, PROMPT_MS, thrownBy, within } from './expectations.js';

export interface AdvertiserWorld<Options> extends World {
  /** A fresh instance over the same store, as on another machine. */
  reopen(): Promise<Advertiser<Options>>;
  readonly options: Options;
  /** Two rings for which nothing is advertised yet. */
  readonly ring: RingRef;
  readonly otherRing: RingRef;
  /** Two different advertisements; the second has the higher sequence. */
  readonly first: Advertisement;
  readonly second: Advertisement;
  /** The plain version string as consul-template or Puppet would read it. Absent where there is none to be read. */
  readPlainVersion?(ring: RingRef): Promise<string | undefined>;
}

export interface AdvertiserHarness<Options> {
  open(): Promise<AdvertiserWorld<Options>>;
}

/** How long a read with a cursor is held here, in real milliseconds. */
const HOLD_MS = 5_000;

type Reading = { readonly current?: Advertisement; readonly cursor: string };

/** What {@link Advertiser} promises, one check each. */
export const advertiserChecks = <Options>(): readonly Check<AdvertiserHarness<Options>>[] => {
  const check = (name: string, run: (world: AdvertiserWorld<Options>) => Promise<void>): Check<AdvertiserHarness<Options>> => ({
    name,
    run: inWorld(run),
  });
  const read = async (
    world: AdvertiserWorld<Options>,
    { ring = world.ring, after }: { readonly ring?: RingRef; readonly after?: string } = {},
    call: TestCallOptions = {},
  ): Promise<Reading> => {
    const advertiser = await world.reopen();
    return advertiser.read({ ring, options: world.options, ...(after === undefined ? {} : { after }) }, createTestCall(call));
  };
  const write = async (
    world: AdvertiserWorld<Options>,
    next: Advertisement,
    expected: string,
    { ring = world.ring, ...op }: TestOpOptions & { readonly ring?: RingRef } = {},
  ) =>
    (await world.reopen()).write(
      { ring, next, expected, options: world.options },
      createTestOp({ key: `advertise:${next.sequence}:1`, ...op }),
    );

  return [
    check('reads nothing, but a cursor, where nothing was advertised', async (world) => {
      const reading = await read(world);
      expect(reading.current).toBeUndefined();
      expectCursor(reading.cursor);
    }),
    check('reads in a fresh instance exactly what was written', async (world) => {
      expect(await write(world, world.first, (await read(world)).cursor)).toBe('written');
      const reading = await read(world);
      expectPlainJson(reading, 'what is read');
      expect(reading.current).toEqual(world.first);
    }),
    check('replaces what was advertised, given the cursor of the read before', async (world) => {
      await write(world, world.first, (await read(world)).cursor);
      expect(await write(world, world.second, (await read(world)).cursor)).toBe('written');
      expect((await read(world)).current).toEqual(world.second);
    }),
    check('answers a stale cursor with a conflict, and changes nothing', async (world) => {
      const { cursor } = await read(world);
      await write(world, world.first, cursor);
      expect(await write(world, world.second, cursor)).toBe('conflict');
      expect((await read(world)).current).toEqual(world.first);
    }),
    check('answers with a conflict when the same thing is written twice with one cursor', async (world) => {
      const { cursor } = await read(world);
      await write(world, world.first, cursor);
      expect(await write(world, world.first, cursor)).toBe('conflict');
    }),
    check('lets exactly one of several writers through', async (world) => {
      const { cursor } = await read(world);
      const answers = await Promise.all([world.first, world.second, world.first, world.second].map((next) => write(world, next, cursor)));
      expect(answers.toSorted()).toEqual(['conflict', 'conflict', 'conflict', 'written']);
    }),
    check('writes one ring without touching another, nor its cursor', async (world) => {
      const other = await read(world, { ring: world.otherRing });
      await write(world, world.first, (await read(world)).cursor);
      expect((await read(world, { ring: world.otherRing })).current).toBeUndefined();
      expect(await write(world, world.second, other.cursor, { ring: world.otherRing })).toBe('written');
      expect((await read(world)).current).toEqual(world.first);
    }),
    check('keeps the plain version string equal to the document', async (world) => {
      const readPlain = async (): Promise<string | undefined> =>
        world.readPlainVersion === undefined ? notApplicable('this harness reads no plain version') : world.readPlainVersion(world.ring);
      expect(await readPlain()).toBeUndefined();
      for (const next of [world.first, world.second]) {
        await write(world, next, (await read(world)).cursor);
        expect(await readPlain()).toBe(next.version);
      }
    }),
    check('ends a held read promptly when its signal is aborted', async (world) => {
      const { cursor } = await read(world);
      const controller = new AbortController();
      const held = read(world, { after: cursor }, { signal: controller.signal });
      controller.abort(new Error('Aborted by the conformance suite'));
      await expectPromptEnd(held, 'a held read');
    }),
    check('ends a held read when something was written', async (world) => {
      const { cursor } = await read(world);
      const signal = AbortSignal.timeout(HOLD_MS);
      const held = read(world, { after: cursor }, { signal });
      held.catch(() => {}); // looked at below, also when the write fails
      await write(world, world.first, cursor);
      const untilSeen = async (): Promise<Reading> => {
        let reading = await held;
        // A store may wake for other reasons; pipit then reads again with the new cursor.
        while (!signal.aborted && reading.current === undefined) reading = await read(world, { after: reading.cursor }, { signal });
        return reading;
      };
      const reading = await within(HOLD_MS + PROMPT_MS, untilSeen(), 'a held read');
      expect(reading.current).toEqual(world.first);
    }),
    check('writes nothing when its signal is aborted already', async (world) => {
      const { cursor } = await read(world);
      await thrownBy(write(world, world.first, cursor, { signal: abortedSignal() }), 'a write with an aborted signal');
      expect((await read(world)).current).toBeUndefined();
    }),
  ];
};

/** Registers a test for each promise of {@link Advertiser}. */
export const testAdvertiser = <Options>(name: string, harness: AdvertiserHarness<Options>): void =>
  registerChecks(`${name} as advertiser`, advertiserChecks<Options>(), harness);
