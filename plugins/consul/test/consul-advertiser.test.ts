import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createTestCall, createTestOp } from '@pipit/plugin-testing';
import { type ConsulAgent, freePort, startConsul } from 'pipit-lab';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { advertisementOf, command, createToken, openPlugin, readmePolicies, ringOf, SLOW_MS, temporaryFolder } from './consul-world.js';

let agent: ConsulAgent;
let policies: Awaited<ReturnType<typeof readmePolicies>>;
let token: string;

beforeAll(async () => {
  agent = await startConsul({ folder: await temporaryFolder('file'), acl: true });
  policies = await readmePolicies();
  token = await createToken(agent, policies.server);
}, SLOW_MS);
afterAll(() => agent?.stop());

const options = {};
const open = (given: string | undefined = token, more = {}) =>
  openPlugin({ url: agent.url, ...(given === '' ? {} : { token: given }), ...more }).advertiser;
const read = (app: string, advertiser = open()) => advertiser.read({ ring: ringOf(app), options }, createTestCall());
const write = async (app: string, sequence: number, advertiser = open()) => {
  const { cursor } = await read(app);
  return advertiser.write({ ring: ringOf(app), next: advertisementOf(sequence), expected: cursor, options }, createTestOp({}));
};
const plain = async (key: string): Promise<string> => (await agent.request('GET', `/v1/kv/${key}?raw`)).text();

describe('rights', () => {
  it('says that the token may not write, and does not take it for a conflict', async () => {
    const reader = open(await createToken(agent, policies.reader));
    await expect(write('rights', 1, reader)).rejects.toMatchObject({ code: 'CONSUL_ACCESS_REFUSED', recovery: 'stop' });
    expect((await read('rights', reader)).current).toBeUndefined();
  });

  it('says that the token may not read, and does not take it for nothing advertised', async () => {
    await write('unread', 1);
    const blind = open(await createToken(agent, 'service_prefix "" { policy = "read" }'));
    await expect(read('unread', blind)).rejects.toMatchObject({ code: 'CONSUL_ACCESS_REFUSED', recovery: 'stop' });
    await expect(read('unread', open(''))).rejects.toMatchObject({ code: 'CONSUL_ACCESS_REFUSED' });
  });

  it('says that Consul does not know the token', async () => {
    await expect(read('rights', open('00000000-0000-0000-0000-000000000001'))).rejects.toMatchObject({ code: 'CONSUL_TOKEN_UNKNOWN' });
  });

  it('lets the host and the reader of the README read, and not write', async () => {
    await write('web', 1);
    for (const rules of [policies.host, policies.reader]) {
      const headers = { 'x-consul-token': await createToken(agent, rules) };
      const url = `${agent.url}/v1/kv/pipit/web/app/canary/version`;
      expect(await (await fetch(`${url}?raw`, { headers })).text()).toBe('1.1');
      expect((await fetch(url, { method: 'PUT', body: '6.6', headers })).status).toBe(403);
    }
  });
});

describe('the README', () => {
  it('shows consul-template, and whoever asks by HTTP, the key that is written', async () => {
    const text = await readFile(new URL('../README.md', import.meta.url), 'utf8');
    const template = /```text\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
    const keys = [...template.matchAll(/\bkey "([^"]+)"/g), ...text.matchAll(/\/v1\/kv\/(\S+)\?raw/g)].map(([, key = '']) => key);
    expect(keys.length).toBeGreaterThanOrEqual(2);
    for (const key of new Set(keys)) {
      const [prefix, app = '', role, ring = ''] = key.split('/');
      expect([prefix, role]).toEqual(['pipit', 'app']);
      const advertiser = open();
      const { cursor } = await advertiser.read({ ring: ringOf(app, ring), options }, createTestCall());
      const next = advertisementOf(3);
      await advertiser.write({ ring: ringOf(app, ring), next, expected: cursor, options }, createTestOp({}));
      // What consul-template puts in: the value as it is.
      expect(await plain(key)).toBe(next.version);
    }
  });
});

describe('what stands in the store', () => {
  it('is the version alone, and the document beside it, changed together', async () => {
    expect(await write('store', 7, open(token))).toBe('written');
    expect(await plain('pipit/store/app/canary/version')).toBe('1.7');
    expect(JSON.parse(await plain('pipit/store/app/canary/advertisement'))).toEqual(advertisementOf(7));
    const pairs = (await command(agent, 'GET', '/v1/kv/pipit/store/?recurse')) as { ModifyIndex: number }[]; // Consul's documented answer
    expect(new Set(pairs.map(({ ModifyIndex }) => ModifyIndex)).size).toBe(1);
  });

  it('replaces a version that was there before pipit', async () => {
    await command(agent, 'PUT', '/v1/kv/pipit/older/app/canary/version', '0.9');
    expect((await read('older')).current).toBeUndefined();
    expect(await write('older', 1)).toBe('written');
    expect(await plain('pipit/older/app/canary/version')).toBe('1.1');
  });

  it('keeps fields of the document that this version does not know', async () => {
    const later = { ...advertisementOf(3), admitted: ['web1'] };
    const { cursor } = await read('later');
    await open().write({ ring: ringOf('later'), next: later, expected: cursor, options }, createTestOp({}));
    expect((await read('later')).current).toEqual(later);
  });

  it('says how to put a version back that somebody edited or removed', async () => {
    await write('edited', 1);
    for (const [method, body] of [
      ['PUT', '6.6'],
      ['DELETE', undefined],
    ] as const) {
      await command(agent, method, '/v1/kv/pipit/edited/app/canary/version', body);
      await expect(read('edited')).rejects.toMatchObject({
        code: 'CONSUL_VERSION_EDITED',
        hint: expect.stringContaining("consul kv put pipit/edited/app/canary/version '1.1'"),
      });
    }
    await command(agent, 'PUT', '/v1/kv/pipit/edited/app/canary/version', '1.1\n');
    expect((await read('edited')).current).toEqual(advertisementOf(1));
  });

  it('says so when the document was edited into nonsense', async () => {
    await write('nonsense', 1);
    await command(agent, 'PUT', '/v1/kv/pipit/nonsense/app/canary/advertisement', '{"version": 1}');
    await expect(read('nonsense')).rejects.toMatchObject({ code: 'CONSUL_ADVERTISEMENT_INVALID', recovery: 'stop' });
  });

  it('answers a cursor that is not its own with a conflict', async () => {
    const next = advertisementOf(1);
    expect(await open().write({ ring: ringOf('foreign'), next, expected: 'nothing', options }, createTestOp({}))).toBe('conflict');
  });

  it('holds a read through changes of other keys until its own changes', async () => {
    const { cursor } = await read('quiet');
    const held = open().read({ ring: ringOf('quiet'), after: cursor, options }, createTestCall());
    for (let count = 0; count < 5; count += 1) await command(agent, 'PUT', '/v1/kv/elsewhere', String(count));
    await write('quiet', 1);
    expect((await held).current).toEqual(advertisementOf(1));
  });
});

it(
  'says after a loss of all data that nothing is advertised, and lets no cursor of before write',
  async () => {
    const folder = await temporaryFolder('test');
    const before = await startConsul({ folder });
    onTestFinished(() => before.stop());
    const { advertiser } = openPlugin({ url: before.url });
    const ring = ringOf('web');
    const first = await advertiser.read({ ring, options }, createTestCall());
    for (let count = 0; count < 30; count += 1) await command(before, 'PUT', '/v1/kv/elsewhere', String(count));
    expect(await advertiser.write({ ring, next: advertisementOf(4), expected: first.cursor, options }, createTestOp({}))).toBe('written');
    const { cursor } = await advertiser.read({ ring, options }, createTestCall());
    await before.kill();
    await rm(join(folder, 'data'), { recursive: true });
    await before.start();
    await before.waitForLeader();

    // Held on an index that the new data has not reached for long: it must not be waited for.
    const after = await advertiser.read({ ring, after: cursor, options }, createTestCall());
    expect(after.current).toBeUndefined();
    expect(await advertiser.write({ ring, next: advertisementOf(5), expected: cursor, options }, createTestOp({}))).toBe('conflict');
    expect((await advertiser.read({ ring, options }, createTestCall())).current).toBeUndefined();
    expect(await advertiser.write({ ring, next: advertisementOf(5), expected: after.cursor, options }, createTestOp({}))).toBe('written');
  },
  SLOW_MS,
);

it('says to try again when no agent answers', async () => {
  const stopped = openPlugin({ url: `http://127.0.0.1:${await freePort()}` }).advertiser;
  await expect(stopped.read({ ring: ringOf('web'), options }, createTestCall())).rejects.toMatchObject({
    code: 'HTTP_UNREACHABLE',
    recovery: 'retry',
  });
});
