import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '@pipit/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createLocalDiscovery } from '../src/local-discovery.js';
import { callFor, canary, production, removeFolder, temporaryFolder } from './hosts-support.js';

let folder: string;
let inventory: string;
let discovery: ReturnType<typeof createLocalDiscovery<Record<string, never>>>;
const options = {};

const INVENTORY = `# the lab
hosts:
  web1: { address: 127.77.0.11, tags: ["web::app_canary"], attributes: { architecture: arm64, rack: a } }
  web2: { address: 127.77.0.12, tags: ["web::app"], services: [build] }
  web3:
    address: 127.77.0.13
    tags: ["web::app", "web::app_canary"]
    available: false
    reason: disk replaced
`;

beforeEach(async () => {
  folder = await temporaryFolder();
  inventory = join(folder, 'inventory.yaml');
  await writeFile(inventory, INVENTORY);
  discovery = createLocalDiscovery({ inventory, folder });
});
afterEach(() => removeFolder(folder));

const find = async (target: typeof canary | { service: string }): Promise<readonly Host[]> =>
  (await discovery.findHosts({ target, options }, callFor('find'))).hosts;

it('finds the hosts of a ring by its tag, with the reason of one that is not available', async () => {
  expect(await find(canary)).toEqual([
    { id: 'web1', address: '127.77.0.11', available: true, attributes: { architecture: 'arm64', rack: 'a' } },
    { id: 'web3', address: '127.77.0.13', available: false, reason: 'disk replaced', attributes: { architecture: expect.any(String) } },
  ]);
  expect((await find(production)).map(({ id }) => id)).toEqual(['web2', 'web3']);
});

it('finds the hosts of a service', async () => {
  expect((await find({ service: 'build' })).map(({ id }) => id)).toEqual(['web2']);
  expect(await find({ service: 'other' })).toEqual([]);
});

it('gives a host that is marked as down as not available, and why', async () => {
  await mkdir(join(folder, 'hosts/web1'), { recursive: true });
  await writeFile(join(folder, 'hosts/web1/down'), '');
  expect((await find(canary))[0]).toMatchObject({ id: 'web1', available: false, reason: expect.stringContaining('hosts/web1/down') });
});

it('reads the file anew at each question', async () => {
  await writeFile(inventory, 'hosts: {}\n');
  expect(await find(canary)).toEqual([]);
});

it('holds a question with a cursor until the answer differs', async () => {
  const { cursor } = await discovery.findHosts({ target: canary, options }, callFor('first'));
  if (cursor === undefined) throw new Error('no cursor');
  let answered = false;
  const held = discovery.findHosts({ target: canary, after: cursor, options }, callFor('held')).finally(() => {
    answered = true;
  });
  // A change of another ring's host is no change of this answer.
  await writeFile(inventory, INVENTORY.replace('127.77.0.12', '127.77.0.22'));
  await discovery.findHosts({ target: canary, after: cursor, options }, callFor('short', 600));
  expect(answered).toBe(false);
  await writeFile(inventory, INVENTORY.replace('127.77.0.11', '127.77.0.99'));
  expect((await held).hosts[0]?.address).toBe('127.77.0.99');
});

it('answers a held question unchanged at the deadline, and at once without a cursor', async () => {
  const first = await discovery.findHosts({ target: canary, options }, callFor('first'));
  const began = Date.now();
  expect(await discovery.findHosts({ target: canary, after: first.cursor ?? '', options }, callFor('held', 500))).toEqual(first);
  expect(Date.now() - began).toBeLessThan(5_000);
});

it('names every problem with its place', async () => {
  await writeFile(
    inventory,
    `hosts:
  web1: { address: "-bad", tags: [web::app] }
  web2: { adress: 127.77.0.12, address: 127.77.0.12 }
  ../etc: { address: 127.77.0.13 }
  web4: { address: 127.77.0.14, available: maybe, attributes: { cores: 4 } }
  web5: { tags: ["with space"] }
`,
  );
  const thrown = await find(canary).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toMatchObject({ code: 'INVENTORY_INVALID', recovery: 'retry', hint: expect.stringContaining('address') });
  const lines = String((thrown as Error).message)
    .replaceAll(inventory, 'inventory.yaml')
    .split('\n');
  expect(lines).toEqual([
    'inventory.yaml:2:20: hosts.web1.address: expected a host name or an IP address such as 127.77.0.11',
    'inventory.yaml:3:11: hosts.web2.adress is not known here; take it out or mend its spelling',
    'inventory.yaml:4:3: hosts.../etc: expected letters, digits, ".", "_" and "-": it becomes the name of a folder',
    'inventory.yaml:5:44: hosts.web4.available: expected true or false',
    'inventory.yaml:5:72: hosts.web4.attributes.cores: expected text: put numbers and yes or no in quotes',
    expect.stringMatching(/^inventory\.yaml:6:\d+: hosts\.web5\.address: .*expected string/),
    expect.stringMatching(/^inventory\.yaml:6:\d+: hosts\.web5\.tags\.0: expected letters/),
  ]);
});

it('says where broken YAML is broken', async () => {
  await writeFile(inventory, 'hosts:\n  web1: { address: 1.2.3.4\n');
  await expect(find(canary)).rejects.toMatchObject({
    code: 'INVENTORY_INVALID',
    message: expect.stringMatching(/inventory\.yaml:\d+:\d+: /),
  });
});

it('says when there is no inventory', async () => {
  await rm(inventory);
  await expect(find(canary)).rejects.toMatchObject({ code: 'INVENTORY_NOT_READABLE', message: expect.stringContaining(inventory) });
  expect(await discovery.checkHealth(callFor('doctor'))).toMatchObject([{ name: 'inventory', ok: false }]);
});
