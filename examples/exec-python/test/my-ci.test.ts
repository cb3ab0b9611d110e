import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AppName, BuildRequest, Ci, RefName } from '@pipit/core';
import { createProgramPlugin } from '@pipit/plugin-exec';
import {
  createTemporaryFolder,
  createTestCall,
  createTestOp,
  createTestSetup,
  createTestShell,
  createTestSource,
  type TestSource,
  testCi,
  testPlugin,
} from '@pipit/plugin-testing';
import { expect, it, vi } from 'vitest';

vi.setConfig({ testTimeout: 120_000 });

const program = fileURLToPath(new URL('../my-ci', import.meta.url));
const plugin = await createProgramPlugin(program);

interface Options {
  readonly shell: string;
}

testPlugin('examples/exec-python', { plugin, goodConfig: {}, badConfigs: { 'an unknown key': { url: 'x' } } });

const script = (text: string) => ({ text: `#!/bin/sh\n${text}\n`, mode: 0o755 });
const files = {
  'script/cisetup': script('echo set up'),
  'script/cibuild': script('mkdir -p "$PIPIT_OUTPUT/opt/web"; echo "$PIPIT_APP" > "$PIPIT_OUTPUT/opt/web/app"; echo built'),
};
const requestFor = (source: TestSource): BuildRequest<Options> => ({
  app: 'web' as AppName, // constants that the parsers accept
  ref: 'refs/heads/main' as RefName,
  commit: source.commit,
  options: { shell: '/bin/sh' },
});

testCi<Options>('examples/exec-python', {
  open: async () => {
    const folder = await createTemporaryFolder();
    const good = await createTestSource({ files });
    const bad = await createTestSource({ files: { ...files, 'script/cibuild': script('exit 3') } });
    const sources = new Map([good, bad].map((source) => [source.commit.sha, source]));
    return {
      reopen: async () => {
        const { ci } = await plugin.setup({}, createTestSetup({ folder: join(folder.path, 'instance') }));
        return ci as Ci<Options>; // the program says that it is one
      },
      good: requestFor(good),
      bad: requestFor(bad),
      createOp: async ({ key, request, ...given }) => {
        const shellFolder = join(folder.path, Buffer.from(key).toString('hex'));
        await mkdir(shellFolder, { recursive: true });
        const source = sources.get(request.commit.sha) ?? good;
        return createTestOp({ key, ...given, shell: createTestShell(shellFolder), source, callbackUrl: 'http://127.0.0.1:1/' });
      },
      outputPaths: ['opt/web/app'],
      forgottenHandle: join(folder.path, 'gone'),
      close: async () => {
        await Promise.all([folder.remove(), good.remove(), bad.remove()]);
      },
    };
  },
});

it('tells its health', async () => {
  const folder = await createTemporaryFolder();
  try {
    const instance = await plugin.setup({}, createTestSetup({ folder: folder.path }));
    expect(await instance.checkHealth?.(createTestCall())).toEqual([{ name: 'python', ok: true, detail: expect.stringMatching(/^3\./) }]);
  } finally {
    await folder.remove();
  }
});
