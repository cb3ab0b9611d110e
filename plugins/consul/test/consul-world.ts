/** What the tests on a real Consul share. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Advertisement,
  parseAppName,
  parseDigest,
  parsePackageName,
  parsePackageVersion,
  parseRingName,
  parseRoleName,
  type RingRef,
} from '@pipit/core';
import type { ConsulAgent } from 'pipit-lab';
import { afterAll, expect, onTestFinished } from 'vitest';
import { type ConsulConfig, config } from '../src/config.js';
import { createConsulAdvertiser } from '../src/consul-advertiser.js';
import { createConsulClient } from '../src/consul-client.js';
import { createConsulDiscovery } from '../src/consul-discovery.js';

/** Starting Consul may include its download. */
export const SLOW_MS = 180_000;

/** A folder for this test file, or for one test of it. */
export const temporaryFolder = async (until: 'file' | 'test'): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-consul-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  if (until === 'file') afterAll(remove);
  else onTestFinished(remove);
  return folder;
};

export const ringOf = (app: string, ring = 'canary'): RingRef => ({
  app: parseAppName(app),
  role: parseRoleName('app'),
  ring: parseRingName(ring),
});

export const advertisementOf = (sequence: number): Advertisement => {
  const version = parsePackageVersion(`1.${sequence}`);
  const digest = parseDigest(`sha256:${sequence.toString(16).padStart(64, '0')}`);
  return { version, sequence, artifacts: [{ format: 'deb', name: parsePackageName('web'), version, architecture: 'all', digest }] };
};

export type NoOptions = Readonly<Record<string, never>>;

/** Both kinds and the client over a config as a user writes it. */
export const openPlugin = (written: Readonly<Record<string, unknown>>) => {
  const settings: ConsulConfig = config.parse(written);
  const client = createConsulClient(settings);
  return {
    settings,
    client,
    discovery: createConsulDiscovery({ client, config: settings }),
    advertiser: createConsulAdvertiser<NoOptions>({ client, config: settings }),
  };
};

/** Asks the agent with all rights, and expects it to do it. */
export const command = async (agent: ConsulAgent, method: string, path: string, body?: unknown): Promise<unknown> => {
  const answer = await agent.request(method, path, body);
  const text = await answer.text();
  expect(answer.status, `${method} ${path}: ${text}`).toBe(200);
  return text === '' ? undefined : JSON.parse(text);
};

/** The policies that the README shows, which are the ones that are tested. */
export const readmePolicies = async (): Promise<Readonly<Record<'server' | 'host' | 'reader', string>>> => {
  const text = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const [server = '', host = '', reader = ''] = [...text.matchAll(/```hcl\n([\s\S]*?)```/g)].map(([, rules]) => rules ?? '');
  return { server, host, reader };
};

let policies = 0;

/** A token with these rules. */
export const createToken = async (agent: ConsulAgent, rules: string): Promise<string> => {
  policies += 1;
  const name = `test-${process.pid}-${policies}`;
  await command(agent, 'PUT', '/v1/acl/policy', { Name: name, Rules: rules });
  const token = await command(agent, 'PUT', '/v1/acl/token', { Policies: [{ Name: name }] });
  return (token as { SecretID: string }).SecretID; // Consul's documented answer
};

export interface Member {
  readonly node: string;
  readonly address?: string;
  readonly service: string;
  readonly tags?: readonly string[];
  readonly nodeMeta?: Readonly<Record<string, string>>;
  readonly meta?: Readonly<Record<string, string>>;
  readonly checks?: readonly { readonly name: string; readonly status: string; readonly output?: string; readonly ofNode?: boolean }[];
}

/** Registers a member in the catalog, as an agent on that host would. */
export const register = (agent: ConsulAgent, member: Member): Promise<unknown> => {
  const { node, address = '10.9.0.1', service, tags = [], nodeMeta = {}, meta = {}, checks = [] } = member;
  return command(agent, 'PUT', '/v1/catalog/register', {
    Node: node,
    Address: address,
    NodeMeta: nodeMeta,
    Service: { ID: service, Service: service, Tags: tags, Meta: meta, Port: 80 },
    Checks: checks.map(({ name, status, output = '', ofNode = false }) => ({
      Node: node,
      CheckID: name,
      Name: name,
      Status: status,
      Output: output,
      ...(ofNode ? {} : { ServiceID: service }),
    })),
  });
};
