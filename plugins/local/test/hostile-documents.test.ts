import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { parseInventory } from '../src/inventory.js';
import { createLocalAdvertiser } from '../src/local-advertiser.js';
import { callFor, canary, removeFolder, temporaryFolder } from './hosts-support.js';

const hosts = (count: number, each = '{ address: 127.0.0.1 }'): string =>
  `hosts:\n${Array.from({ length: count }, (_each, index) => `  w${index}: ${each}\n`).join('')}`;

it.each([
  ['deep lists', `hosts: ${'['.repeat(1_000_000)}`],
  ['deep mappings', `hosts: ${'{a: '.repeat(200_000)}`],
  ['deep compact lists', `hosts:\n  ${'- '.repeat(200_000)}x\n`],
  ['deep indentation', Array.from({ length: 1_000 }, (_each, level) => `${' '.repeat(level)}a:\n`).join('')],
  ['more text than fits', hosts(100_000)],
  ['many aliases', `a: &a x\n${hosts(20_000, '*a')}`],
  ['a mistake in every line', hosts(5_000, '{ adress: 1 }')],
  ['a host twice', `${hosts(2)}  w1: { address: 127.0.0.1 }\n`],
  ['half of a host', `${hosts(2)}  w3: { address: 127.`],
])('refuses an inventory of %s, in few words', { timeout: 20_000 }, (_what, text) => {
  let thrown: unknown;
  try {
    parseInventory(text, 'inventory.yaml');
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'INVENTORY_INVALID' });
  expect(String(thrown).length).toBeLessThan(10_000);
});

it('reads an inventory of ten thousand hosts', { timeout: 20_000 }, () => {
  expect(parseInventory(hosts(10_000), 'inventory.yaml')).toHaveLength(10_000);
});

it.each([
  ['deep', '['.repeat(100_000)],
  ['of wrong artifacts', `{"version":"1.0","sequence":1,"artifacts":[${'0,'.repeat(200_000)}0]}`],
  ['huge', `{"version":"1.0","sequence":1,"artifacts":[],"more":"${'x'.repeat(10_000_000)}"}`],
])('refuses an advertisement that is %s, in few words', { timeout: 20_000 }, async (_what, text) => {
  const folder = await temporaryFolder();
  onTestFinished(() => removeFolder(folder));
  const ring = join(folder, 'advertised', canary.app, canary.role);
  await mkdir(join(ring, '.states', canary.ring, '1'), { recursive: true });
  await writeFile(join(ring, '.states', canary.ring, '1', 'advertisement.json'), text);
  await symlink(join('.states', canary.ring, '1'), join(ring, canary.ring));
  const thrown: unknown = await createLocalAdvertiser({ folder })
    .read({ ring: canary, options: {} }, callFor('read'))
    .catch((error: unknown) => error);
  expect(thrown).toMatchObject({ code: 'ADVERTISEMENT_INVALID' });
  expect(String(thrown).length).toBeLessThan(5_000);
});
