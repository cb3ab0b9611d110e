import type { AppName, BuildRequest, Ci, RefName, Sandbox } from '@pipit/core';
import type { createTestSource, TestFiles } from '@pipit/plugin-testing';
import { createLocalCi } from '../src/local-ci.js';

export type Options = Readonly<Record<string, never>>;

export const script = (text: string) => ({ text: `#!/bin/sh\n${text}\n`, mode: 0o755 });
export const passing: TestFiles = {
  'script/cisetup': script('echo setting up'),
  'script/cibuild': script(
    'echo building; mkdir -p "$PIPIT_OUTPUT/opt/web"; echo bytes > "$PIPIT_OUTPUT/opt/web/app"; echo x > "$PIPIT_OUTPUT/a"',
  ),
};

export const requestFor = (source: Awaited<ReturnType<typeof createTestSource>>): BuildRequest<Options> => ({
  app: 'web' as AppName, // a constant that the parser accepts
  commit: source.commit,
  ref: 'refs/heads/main' as RefName, // a constant that the parser accepts
  options: {},
});

export const openCi = (sandbox: Sandbox, limits: { readonly timeLimitMs?: number; readonly maxOutputBytes?: number } = {}): Ci<Options> =>
  createLocalCi<Options>({ sandbox, timeLimitMs: 1_800_000, maxOutputBytes: 10 * 1024 * 1024, ...limits });
