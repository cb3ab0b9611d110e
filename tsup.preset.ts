import type { Options } from 'tsup';

/** The one way a package of this workspace is built: ESM, with types, workspace packages left as imports. */
export const preset = (overrides: Options = {}): Options => ({
  entry: ['src/index.ts'],
  format: ['esm'],
  target: 'node20',
  platform: 'node',
  sourcemap: true,
  clean: true,
  // Types take most of a build, and only publishing needs them: `npm start` does without.
  // tsup passes `baseUrl` to TypeScript, which 6.0 reports as deprecated.
  dts: process.env.PIPIT_BUILD_TYPES === 'no' ? false : { compilerOptions: { ignoreDeprecations: '6.0', customConditions: [] } },
  ...overrides,
});
