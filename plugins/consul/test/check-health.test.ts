import { createTestCall, createTestSetup } from '@pipit/plugin-testing';
import { type ConsulAgent, freePort, startConsul } from 'pipit-lab';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { config } from '../src/config.js';
import { plugin } from '../src/index.js';
import { command, createToken, readmePolicies, SLOW_MS, temporaryFolder } from './consul-world.js';

let agent: ConsulAgent;

beforeAll(async () => {
  agent = await startConsul({ folder: await temporaryFolder('file'), acl: true });
}, SLOW_MS);
afterAll(() => agent?.stop());

const look = async (written: Readonly<Record<string, unknown>>) => {
  const instance = await plugin.setup(config.parse(written), createTestSetup({ folder: await temporaryFolder('test') }));
  const findings = (await instance.checkHealth?.(createTestCall())) ?? [];
  return new Map(findings.map((finding) => [finding.name, finding]));
};

it('passes with the token of the README, and writes nothing while it looks', async () => {
  const findings = await look({ url: agent.url, token: await createToken(agent, (await readmePolicies()).server) });
  expect([...findings.keys()]).toEqual(['leader', 'services', 'key prefix', 'anonymous write']);
  expect([...findings.values()].filter(({ ok }) => !ok)).toEqual([]);
  expect(await command(agent, 'GET', '/v1/kv/?keys')).toEqual([]);
});

it.each([
  ['services', 'key_prefix "pipit/" { policy = "write" }'],
  ['services', 'key_prefix "pipit/" { policy = "write" } service_prefix "" { policy = "read" }'],
  ['key prefix', 'key_prefix "pipit/" { policy = "read" } service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'],
  ['key prefix', 'key_prefix "other/" { policy = "write" } service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'],
])('fails %s for a token that has only %s', async (name, rules) => {
  const findings = await look({ url: agent.url, token: await createToken(agent, rules) });
  expect([...findings.values()].filter(({ ok }) => !ok)).toEqual([expect.objectContaining({ name, hint: expect.stringMatching(/polic/) })]);
});

it('fails when the anonymous token may write the prefix, and leaves no key there', async () => {
  const token = await createToken(agent, (await readmePolicies()).server);
  await command(agent, 'PUT', '/v1/acl/policy', { Name: 'open', Rules: 'key_prefix "pipit/" { policy = "write" }' });
  const anonymous = '/v1/acl/token/00000000-0000-0000-0000-000000000002';
  await command(agent, 'PUT', anonymous, { Policies: [{ Name: 'open' }] });
  onTestFinished(async () => {
    await command(agent, 'PUT', anonymous, { Policies: [] });
  });
  await expect
    .poll(async () => (await look({ url: agent.url, token })).get('anonymous write'))
    .toMatchObject({ ok: false, hint: expect.stringContaining('deny') });
  expect(await command(agent, 'GET', '/v1/kv/?keys')).toEqual([]);
});

it(
  'fails where ACLs are off',
  async () => {
    const open = await startConsul({ folder: await temporaryFolder('test') });
    onTestFinished(() => open.stop());
    const findings = await look({ url: open.url });
    expect([...findings.values()].filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['anonymous write']);
  },
  SLOW_MS,
);

it('says of each part that no agent answers, and what to do', async () => {
  const findings = [...(await look({ url: `http://127.0.0.1:${await freePort()}` })).values()];
  expect(findings.every(({ ok, hint }) => !ok && hint !== undefined)).toBe(true);
});
