import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Discovery, parseAppName, parseRingName, parseRoleName, type RingRef } from '@pipit/core';
import { createProgramPlugin } from '@pipit/plugin-exec';
import { createTemporaryFolder, createTestCall, createTestSetup, testDiscovery } from '@pipit/plugin-testing';
import { expect, it, vi } from 'vitest';

vi.setConfig({ testTimeout: 120_000 });

type Options = Readonly<Record<string, never>>;
const ringOf = (ring: string, app = 'web'): RingRef => ({ app: parseAppName(app), role: parseRoleName('app'), ring: parseRingName(ring) });

const open = async () => {
  const folder = await createTemporaryFolder();
  const program = join(folder.path, 'my-hosts');
  await copyFile(fileURLToPath(new URL('../my-hosts', import.meta.url)), program);
  const put = (text: string, flag = 'w') => writeFile(join(folder.path, 'hosts.txt'), text, { flag });
  await put('# id address tags\nweb1 10.0.0.1 web::app_canary,build\nweb2 10.0.0.2 web::app_canary down\nweb3 10.0.0.3 web::app\n');
  const reopen = async (): Promise<Discovery<Options>> => {
    const { discovery } = await (await createProgramPlugin(program)).setup({}, createTestSetup({ folder: join(folder.path, 'instance') }));
    return discovery ?? expect.fail('the program is no discovery');
  };
  return { folder, put, reopen };
};

testDiscovery<Options>('examples/exec-shell', {
  open: async () => {
    const { folder, put, reopen } = await open();
    return {
      reopen,
      options: {},
      ring: ringOf('canary'),
      availableIds: ['web1'],
      unavailableIds: ['web2'],
      empty: ringOf('canary', 'other'),
      addHost: async () => {
        await put('web4 10.0.0.4 web::app_canary\n', 'a');
        return 'web4';
      },
      close: () => folder.remove(),
    };
  },
});

it('finds the hosts of production and of a service', async () => {
  const { folder, reopen } = await open();
  try {
    const discovery = await reopen();
    const idsOf = async (target: RingRef | { readonly service: string }) =>
      (await discovery.findHosts({ target, options: {} }, createTestCall())).hosts.map(({ id }) => id);
    expect(await idsOf(ringOf('production'))).toEqual(['web3']);
    expect(await idsOf({ service: 'build' })).toEqual(['web1']);
  } finally {
    await folder.remove();
  }
});
