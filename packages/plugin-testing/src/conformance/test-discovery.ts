import { type Discovery, type Host, type HostQuery, parseHostAddress, type RingRef } from '@pipit/core';
import { expect } from 'vitest';
import { createTestCall, type TestCallOptions } from '../context/test-call.js';
import { type Check, inWorld, notApplicable, registerChecks, type World } from './check.js';
import { expectCursor, expectPlainJson, expectPromptEnd, PROMPT_MS, within } from './expectations.js';

export interface DiscoveryWorld<Options> extends World {
  /** A fresh instance over the same registry, as on another machine. */
  reopen(): Promise<Discovery<Options>>;
  readonly options: Options;
  /** A ring with at least two members, of which at least one is not available. */
  readonly ring: RingRef;
  readonly availableIds: readonly string[];
  readonly unavailableIds: readonly string[];
  /** A ring, or a service, that has no members. */
  readonly empty: HostQuery<Options>['target'];
  /** Adds an available member to {@link DiscoveryWorld.ring}, from outside, and returns its id. */
  addHost(): Promise<string>;
}

export interface DiscoveryHarness<Options> {
  open(): Promise<DiscoveryWorld<Options>>;
}

/** How long a question with a cursor is held here, in real milliseconds. */
const HOLD_MS = 5_000;
/** A short hold, to see its end. */
const SHORT_HOLD_MS = 300;

type Answer = { readonly hosts: readonly Host[]; readonly cursor?: string };

const idsOf = (hosts: readonly Host[]): readonly string[] => hosts.map((host) => host.id).sort();

/** What {@link Discovery} promises, one check each. */
export const discoveryChecks = <Options>(): readonly Check<DiscoveryHarness<Options>>[] => {
  const check = (name: string, run: (world: DiscoveryWorld<Options>) => Promise<void>): Check<DiscoveryHarness<Options>> => ({
    name,
    run: inWorld(run),
  });
  const ask = async (
    world: DiscoveryWorld<Options>,
    query: { readonly target?: HostQuery<Options>['target']; readonly after?: string } = {},
    call: TestCallOptions = {},
  ): Promise<Answer> => {
    const discovery = await world.reopen();
    return discovery.findHosts({ target: world.ring, options: world.options, ...query }, createTestCall(call));
  };
  const cursorOf = ({ cursor }: Answer): string => cursor ?? notApplicable('it has no cursor, so pipit asks it again from time to time');

  return [
    check('lists all members, the unavailable ones too', async (world) => {
      const { hosts, cursor } = await ask(world);
      expect(idsOf(hosts)).toEqual([...world.availableIds, ...world.unavailableIds].sort());
      expect(world.unavailableIds.length, 'unavailable members of the harness').toBeGreaterThan(0);
      if (cursor !== undefined) expectCursor(cursor);
    }),
    check('says of each unavailable member why', async (world) => {
      const { hosts } = await ask(world);
      expect(idsOf(hosts.filter((host) => host.available))).toEqual([...world.availableIds].sort());
      for (const host of hosts.filter((host) => !host.available)) expect(host.reason, `the reason of ${host.id}`).toMatch(/\S/);
    }),
    check('gives hosts that pipit can store, each once, with an address that can be reached', async (world) => {
      const answer = await ask(world);
      expectPlainJson(answer, 'the answer');
      expect(new Set(idsOf(answer.hosts)).size).toBe(answer.hosts.length);
      for (const host of answer.hosts) {
        expect(host.id, 'a host id').toMatch(/\S/);
        expect(parseHostAddress(host.address)).toBe(host.address);
        expect(
          Object.values(host.attributes).every((value) => typeof value === 'string'),
          `attributes of ${host.id} are strings`,
        ).toBe(true);
      }
    }),
    check('gives the same answer each time, in a fresh instance too', async (world) => {
      expect((await ask(world)).hosts).toEqual((await ask(world)).hosts);
    }),
    check('answers with no hosts where there are none, and not with an error', async (world) => {
      expect((await ask(world, { target: world.empty })).hosts).toEqual([]);
    }),
    check('sees a member that was added from outside', async (world) => {
      await ask(world);
      const id = await world.addHost();
      expect((await ask(world)).hosts).toContainEqual(expect.objectContaining({ id, available: true }));
    }),
    check('answers a held question when the members change', async (world) => {
      const after = cursorOf(await ask(world));
      const signal = AbortSignal.timeout(HOLD_MS);
      const held = ask(world, { after }, { signal });
      held.catch(() => {}); // looked at below, also when adding the host fails
      const id = await world.addHost();
      const untilSeen = async (): Promise<Answer> => {
        let answer = await held;
        // A registry may wake for other reasons; pipit then asks again with the new cursor.
        while (!signal.aborted && !idsOf(answer.hosts).includes(id)) answer = await ask(world, { after: cursorOf(answer) }, { signal });
        return answer;
      };
      const answer = await within(HOLD_MS + PROMPT_MS, untilSeen(), 'a held question');
      expect(idsOf(answer.hosts)).toContain(id);
      expect(answer.cursor, 'the cursor after a change').not.toBe(after);
    }),
    check('ends a held question at the deadline', async (world) => {
      const after = cursorOf(await ask(world));
      await expectPromptEnd(ask(world, { after }, { timeoutMs: SHORT_HOLD_MS }), 'a held question');
    }),
    check('ends a held question promptly when its signal is aborted', async (world) => {
      const after = cursorOf(await ask(world));
      const controller = new AbortController();
      const held = ask(world, { after }, { signal: controller.signal });
      controller.abort(new Error('Aborted by the conformance suite'));
      await expectPromptEnd(held, 'a held question');
    }),
  ];
};

/** Registers a test for each promise of {@link Discovery}. */
export const testDiscovery = <Options>(name: string, harness: DiscoveryHarness<Options>): void =>
  registerChecks(`${name} as discovery`, discoveryChecks<Options>(), harness);
