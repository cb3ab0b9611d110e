/** A real cluster of three servers, whose leader is killed while pipit advertises through an agent of its own. */
import { join } from 'node:path';
import { recoveryOf } from '@pipit/core';
import { createTestCall, createTestOp } from '@pipit/plugin-testing';
import { startConsul, startConsulCluster } from 'pipit-lab';
import { expect, it, onTestFinished } from 'vitest';
import { advertisementOf, createToken, openPlugin, readmePolicies, ringOf, SLOW_MS, temporaryFolder } from './consul-world.js';

const options = {};
const LAST = 40;
const KILL_AT = 12;

it(
  'goes on advertising after the leader was killed: nothing twice, nothing lost, in order',
  async () => {
    const folder = await temporaryFolder('test');
    const cluster = await startConsulCluster({ folder: join(folder, 'servers'), acl: true });
    onTestFinished(() => cluster.stop());
    const [first] = cluster.servers;
    const agent = await startConsul({
      folder: join(folder, 'agent'),
      address: '127.0.0.14',
      server: false,
      acl: true,
      managementToken: cluster.managementToken,
      join: cluster.servers.map(({ address, ports }) => `${address}:${ports.serfLan}`),
    });
    onTestFinished(() => agent.stop());
    const token = await createToken(agent, (await readmePolicies()).server);
    const { advertiser } = openPlugin({ url: agent.url, token });
    const ring = ringOf('web');
    const errors: string[] = [];

    /** As a rollout does it: read, decide by the sequence, write; after an error whose recovery is not `stop`, again. */
    const advertise = async (sequence: number): Promise<'written' | 'was there'> => {
      for (;;) {
        try {
          const { current, cursor } = await advertiser.read({ ring, options }, createTestCall());
          if (current?.sequence === sequence) return 'was there';
          expect(current?.sequence ?? 0, 'what is advertised before').toBe(sequence - 1);
          if (
            (await advertiser.write({ ring, next: advertisementOf(sequence), expected: cursor, options }, createTestOp({}))) === 'written'
          )
            return 'written';
          expect.fail('a conflict, and nobody else writes');
        } catch (thrown) {
          if (!(thrown instanceof Error) || !('recovery' in thrown) || recoveryOf(thrown) === 'stop') throw thrown;
          errors.push(`${'code' in thrown ? thrown.code : ''} ${recoveryOf(thrown)}`);
        }
      }
    };

    const seen: number[] = [];
    const watching = (async () => {
      let after: string | undefined;
      while (seen.at(-1) !== LAST) {
        const query = { ring, options, ...(after === undefined ? {} : { after }) };
        const reading = await advertiser.read(query, createTestCall()).catch(() => undefined);
        if (reading === undefined) continue;
        after = reading.cursor;
        if (reading.current !== undefined) seen.push(reading.current.sequence);
      }
    })();

    const leader = await cluster.leader();
    let killing: Promise<void> | undefined;
    const outcomes: string[] = [];
    for (let sequence = 1; sequence <= LAST; sequence += 1) {
      if (sequence === KILL_AT) killing = leader.kill();
      outcomes.push(await advertise(sequence));
    }
    await killing;
    await watching;

    expect(leader.pid()).toBeUndefined();
    expect(outcomes).toHaveLength(LAST);
    expect(seen).toEqual([...new Set(seen)].toSorted((one, other) => one - other));
    expect((await advertiser.read({ ring, options }, createTestCall())).current).toEqual(advertisementOf(LAST));
    // The election was felt, and every error said that something may be done.
    expect(errors.length, 'errors during the election').toBeGreaterThan(0);
    const survivor = cluster.servers.find((server) => server !== leader) ?? first;
    const plain = await survivor?.request('GET', '/v1/kv/pipit/web/app/canary/version?raw&consistent');
    expect(await plain?.text()).toBe(`1.${LAST}`);
  },
  SLOW_MS,
);
