import { createTestCall } from '@pipit/plugin-testing';
import { type ConsulAgent, startConsul } from 'pipit-lab';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { command, createToken, openPlugin, readmePolicies, register, ringOf, SLOW_MS, temporaryFolder } from './consul-world.js';

let agent: ConsulAgent;
let token: string;

beforeAll(async () => {
  agent = await startConsul({ folder: await temporaryFolder('file'), acl: true, nodeName: 'consul1', nodeMeta: { rack: 'a' } });
  token = await createToken(agent, (await readmePolicies()).server);
}, SLOW_MS);
afterAll(() => agent?.stop());

const find = async (target: ReturnType<typeof ringOf> | { service: string }, options = {}, more = {}) => {
  const { discovery } = openPlugin({ url: agent.url, token, ...more });
  return (await discovery.findHosts({ target, options }, createTestCall())).hosts;
};

describe('a real agent', () => {
  it('keeps a host as a member whose service makes its own check critical, and says why', async () => {
    const service = (status: string) => ({
      Name: 'shop',
      Tags: ['shop::app_canary'],
      Port: 80,
      Meta: { architecture: 'amd64' },
      Check: { CheckID: 'shop-alive', Name: 'shop answers', TTL: '1h', Status: status },
    });
    await command(agent, 'PUT', '/v1/agent/service/register', service('passing'));
    const attributes = { architecture: 'amd64', rack: 'a', datacenter: 'dc1' };
    await expect.poll(() => find(ringOf('shop'))).toEqual([{ id: 'consul1', address: '127.0.0.1', available: true, attributes }]);

    const { discovery } = openPlugin({ url: agent.url, token });
    const { cursor } = await discovery.findHosts({ target: ringOf('shop'), options: {} }, createTestCall());
    const after = cursor === undefined ? {} : { after: cursor };
    const held = discovery.findHosts({ target: ringOf('shop'), ...after, options: {} }, createTestCall());
    await command(agent, 'PUT', '/v1/agent/check/fail/shop-alive?note=disk%20full');
    expect((await held).hosts).toEqual([
      { id: 'consul1', address: '127.0.0.1', available: false, reason: expect.stringContaining('"shop answers" is critical'), attributes },
    ]);
    await expect.poll(async () => (await find(ringOf('shop')))[0]?.reason).toBe('check "shop answers" is critical: disk full');
  });

  it('says that a node in maintenance is not available, and what for', async () => {
    await command(agent, 'PUT', '/v1/agent/service/register', { Name: 'upkeep', Tags: ['upkeep::app'], Port: 80 });
    await command(agent, 'PUT', '/v1/agent/maintenance?enable=true&reason=new%20disk');
    await expect.poll(async () => (await find(ringOf('upkeep', 'production')))[0]?.reason).toContain('new disk');
    await command(agent, 'PUT', '/v1/agent/maintenance?enable=false');
  });
});

describe('members', () => {
  it('are found by the tag of their ring; one with two tags is in both rings', async () => {
    await register(agent, { node: 'both', service: 'two', tags: ['two::app_canary', 'two::app'] });
    await register(agent, { node: 'rest', service: 'two', tags: ['two::app'] });
    await register(agent, { node: 'early', service: 'two', tags: ['two::app_early'] });
    expect((await find(ringOf('two'))).map(({ id }) => id)).toEqual(['both']);
    expect((await find(ringOf('two', 'production'))).map(({ id }) => id)).toEqual(['both', 'rest']);
    expect((await find(ringOf('two', 'early'))).map(({ id }) => id)).toEqual(['early']);
  });

  it('may be of a service with another name than the app', async () => {
    await register(agent, { node: 'shared', service: 'deploy', tags: ['three::app_canary', 'four::app'] });
    expect(await find(ringOf('three'))).toEqual([]);
    expect((await find(ringOf('three'), { service: 'deploy' })).map(({ id }) => id)).toEqual(['shared']);
  });

  it('of a service of its own are the build hosts, and the unhealthy one says so', async () => {
    await register(agent, { node: 'build1', service: 'build', nodeMeta: { architecture: 'amd64' } });
    await register(agent, {
      node: 'build2',
      service: 'build',
      checks: [{ name: 'serfHealth', status: 'critical', output: 'Agent not live or unreachable', ofNode: true }],
    });
    expect((await find({ service: 'build' })).map(({ id, available }) => [id, available])).toEqual([
      ['build1', true],
      ['build2', false],
    ]);
  });
});

it('does not take the empty lists that a token without rights gets for an empty fleet', async () => {
  await register(agent, { node: 'unseen', service: 'hidden', tags: ['hidden::app_canary'] });
  for (const rules of [
    'key_prefix "pipit/" { policy = "write" }',
    'service_prefix "" { policy = "read" }',
    'node_prefix "" { policy = "read" }',
  ]) {
    const token = await createToken(agent, rules);
    await expect(find(ringOf('hidden'), {}, { token })).rejects.toMatchObject({ code: 'CONSUL_NOTHING_VISIBLE', recovery: 'stop' });
  }
});

it(
  'joins the hosts of several data centres, and tells nodes of one name apart',
  async () => {
    const one = await startConsul({ folder: await temporaryFolder('test'), address: '127.0.0.21', datacenter: 'dc1' });
    onTestFinished(() => one.stop());
    const joinWan = [`127.0.0.21:${one.ports.serfWan}`];
    const two = await startConsul({ folder: await temporaryFolder('test'), address: '127.0.0.22', datacenter: 'dc2', joinWan });
    onTestFinished(() => two.stop());
    await expect.poll(() => command(one, 'GET', '/v1/catalog/datacenters'), { timeout: 60_000 }).toEqual(['dc1', 'dc2']);
    for (const each of [one, two]) await register(each, { node: 'web1', service: 'web', tags: ['web::app_canary'] });

    const { discovery } = openPlugin({ url: one.url, datacenters: ['dc1', 'dc2'] });
    const ask = async (after?: string) =>
      discovery.findHosts({ target: ringOf('web'), options: {}, ...(after === undefined ? {} : { after }) }, createTestCall());
    await expect.poll(async () => (await ask()).hosts.map(({ id }) => id), { timeout: 60_000 }).toEqual(['web1', 'web1.dc2']);
    const held = ask((await ask()).cursor);
    await register(two, { node: 'web2', service: 'web', tags: ['web::app_canary'] });
    expect((await held).hosts.map(({ id }) => id)).toEqual(['web1', 'web1.dc2', 'web2.dc2']);

    const lost = openPlugin({ url: one.url, datacenters: ['dc1', 'dc9'] }).discovery;
    await expect(lost.findHosts({ target: ringOf('web'), options: {} }, createTestCall())).rejects.toMatchObject({
      code: 'CONSUL_DATACENTER_UNREACHABLE',
      recovery: 'retry',
    });
  },
  SLOW_MS,
);
