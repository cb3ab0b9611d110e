import type { Options } from 'tsup';

/** The one way a package of this workspace is built: ESM, with types, workspace packages left as imports. */
export const preset = (overrides: Options = {}): Options => ({
  entry: ['src/index.ts'],
  format: ['esm'],
  target: 'node20',
  platform: 'node',
  sourcemap: true,
  clean: true,
  // tsup passes `baseUrl` to TypeScript, which 6.0 reports as deprecated.
  dts: { compilerOptions: { ignoreDeprecations: '6.0', customConditions: [] } },
  ...overrides,
});
