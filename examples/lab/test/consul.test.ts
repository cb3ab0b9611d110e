import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConsulAgent, type ConsulCluster, startConsul, startConsulCluster } from 'pipit-lab';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SLOW_MS = 120_000;

describe('the lab’s Consul', () => {
  let folder: string;
  const running: { stop: () => Promise<void> }[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lab-consul-'));
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((started) => started.stop()));
    await rm(folder, { recursive: true, force: true });
  }, SLOW_MS);

  it(
    'is a real agent that denies strangers with ACLs on, and keeps its data',
    async () => {
      const agent: ConsulAgent = await startConsul({ folder, acl: true });
      running.push(agent);
      const self = await (await agent.request('GET', '/v1/agent/self')).json();
      expect(self).toMatchObject({ Config: { Version: expect.stringMatching(/^1\.8\./) } });
      expect((await fetch(`${agent.url}/v1/kv/a`, { method: 'PUT', body: '1' })).status).toBe(403);
      expect(await (await agent.request('PUT', '/v1/kv/a', 'kept')).json()).toBe(true);

      await agent.kill();
      expect(agent.pid()).toBeUndefined();
      await agent.start();
      await agent.waitForLeader();
      expect(await (await agent.request('GET', '/v1/kv/a?raw')).text()).toBe('kept');
    },
    SLOW_MS,
  );

  it(
    'is a cluster that elects another leader when the leader is killed',
    async () => {
      const cluster: ConsulCluster = await startConsulCluster({ folder, acl: true });
      running.push(cluster);
      const first = await cluster.leader();
      expect(await (await first.request('PUT', '/v1/kv/a', 'kept')).json()).toBe(true);
      await first.kill();
      const second = await cluster.leader();
      expect(second.url).not.toBe(first.url);
      await second.waitForLeader();
      expect(await (await second.request('GET', '/v1/kv/a?raw&consistent')).text()).toBe('kept');
    },
    SLOW_MS,
  );
});
