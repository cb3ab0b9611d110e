import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { advertisedKeys, parseCursor, readAdvertised, renderCursor } from '../src/advertised-keys.js';
import { mapHealthEntries } from '../src/map-health-entries.js';
import { ringOf } from './consul-world.js';

/** A real answer, recorded: see the folder. */
const recorded = async (name: string): Promise<unknown> =>
  JSON.parse(await readFile(new URL(`../src/__fixtures__/${name}-consul-1.8.7.json`, import.meta.url), 'utf8'));

const entry = (over: { readonly Node?: object; readonly Service?: object; readonly Checks?: readonly object[] | null } = {}) => ({
  Node: { Node: 'web1', Address: '10.9.0.1', Datacenter: 'dc1', Meta: null, ...over.Node },
  Service: { ID: 'web', Address: '', Meta: null, ...over.Service },
  Checks: over.Checks ?? [],
});
const map = (...entries: readonly object[]) => mapHealthEntries(entries, { address: 'node' });

describe('mapHealthEntries', () => {
  it('reads what Consul 1.8.7 answers', async () => {
    expect(mapHealthEntries(await recorded('health-service'), { address: 'node' })).toEqual([
      {
        id: 'build1',
        address: '127.0.0.1',
        available: false,
        reason: 'check "shop answers" is critical: disk full',
        attributes: { architecture: 'amd64', rack: 'a', datacenter: 'dc1' },
      },
      { id: 'shop2', address: '10.9.0.2', available: true, attributes: { architecture: 'arm64', datacenter: 'dc1' } },
    ]);
  });

  it('makes one host of several instances on a node, available only if all are', () => {
    const check = { CheckID: 'alive', Name: 'alive', Status: 'critical', Output: 'gone' };
    const hosts = map(entry({ Service: { ID: 'web-2' }, Checks: [check] }), entry({ Service: { ID: 'web-1', Meta: { slot: 'blue' } } }));
    expect(hosts).toEqual([expect.objectContaining({ id: 'web1', available: false, reason: 'check "alive" is critical: gone' })]);
  });

  it('takes a warning for available', () => {
    expect(map(entry({ Checks: [{ CheckID: 'a', Name: 'a', Status: 'warning', Output: '' }] }))[0]?.available).toBe(true);
  });

  it('takes the address that the config says, and the node’s where the service has none', () => {
    const own = entry({ Service: { Address: '172.17.0.2' } });
    expect(map(own)[0]?.address).toBe('10.9.0.1');
    expect(mapHealthEntries([own], { address: 'service' })[0]?.address).toBe('172.17.0.2');
    expect(mapHealthEntries([entry()], { address: 'service' })[0]?.address).toBe('10.9.0.1');
  });

  it('keeps a host whose registered address is none, not available, and the others with it', () => {
    const hosts = map(entry({ Node: { Node: 'bad', Address: '-oProxyCommand=x' } }), entry());
    expect(hosts.map(({ id, available }) => [id, available])).toEqual([
      ['bad', false],
      ['web1', true],
    ]);
    expect(hosts[0]).toMatchObject({ address: 'address.invalid', reason: expect.stringContaining('-oProxyCommand=x') });
  });

  it('shows what a check printed as one short line', () => {
    const Output = `first\n\u001b[31msecond\u202e ${'x'.repeat(1000)}`;
    const [host] = map(entry({ Checks: [{ CheckID: 'a', Name: 'a', Status: 'critical', Output }] }));
    expect(host?.reason).toMatch(/^check "a" is critical: first \[31msecond x+…$/);
    expect(host?.reason?.length).toBeLessThan(250);
  });

  it('gives the order of names, whatever the order of the answer', () => {
    const nodes = ['web2', 'Web3', 'web10'].map((Node) => entry({ Node: { Node } }));
    expect(map(...nodes).map(({ id }) => id)).toEqual(map(...nodes.toReversed()).map(({ id }) => id));
  });

  it.each([[{}], [[{ Node: {} }]], ['text']])('refuses %j', (answer) => {
    expect(() => mapHealthEntries(answer, { address: 'node' })).toThrow(expect.objectContaining({ code: 'CONSUL_ANSWER_UNKNOWN' }));
  });
});

describe('readAdvertised', () => {
  const keys = advertisedKeys('pipit', ringOf('web'));

  it('reads what Consul 1.8.7 answers', async () => {
    const { current, indexes } = readAdvertised(await recorded('kv-recurse'), keys);
    expect(current).toMatchObject({ version: '1.7', sequence: 7 });
    expect(indexes.version).toBe(indexes.document);
    expect(parseCursor(renderCursor(indexes))).toEqual(indexes);
  });

  it.each(['nothing', '', '1', '1-', '-1-1', '1-1-1', 'x-1'])('takes %j for no cursor', (cursor) => {
    expect(parseCursor(cursor)).toBeUndefined();
  });
});
