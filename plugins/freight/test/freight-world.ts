import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import {
  type HealthFinding,
  type InstallSource,
  type Op,
  parseAppName,
  parseRingName,
  parseRoleName,
  type Repository,
  type RingRef,
} from '@pipit/core';
import {
  type AptHost,
  createAptHost,
  createMemoryFileStore,
  createTemporaryFolder,
  createTestCall,
  createTestOp,
  createTestSetup,
  createTestShell,
  type MemoryFileStore,
} from '@pipit/plugin-testing';
import { config } from '../src/config.js';
import { plugin } from '../src/index.js';

export type Options = Readonly<Record<string, never>>;
export const options: Options = {};

export const ringOf = (ring: string, app = 'web'): RingRef => ({
  app: parseAppName(app),
  role: parseRoleName('app'),
  ring: parseRingName(ring),
});
export const canary = ringOf('canary');
export const production = ringOf('production');

export interface FreightProgram {
  readonly name: string;
  /** Undefined where it is not to be had. */
  readonly path: string | undefined;
}

/** Why the tests of the real program are skipped where it is missing. */
export const NO_FREIGHT = 'no freight on PATH: install it from its own project to run these on the real one';

export const fakeFreight: FreightProgram = { name: 'the fake Freight', path: join(import.meta.dirname, 'programs/fake-freight') };
export const realFreight: FreightProgram = {
  name: 'the real Freight',
  path: (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'freight'))
    .find(existsSync),
};

/** A loaded machine takes its time with gpg. */
const CALL_TIMEOUT_MS = 60_000;

type Config = Readonly<Record<string, unknown>>;

export interface FreightWorld {
  readonly folder: string;
  /** The plugin's own folder. */
  readonly root: string;
  readonly files: MemoryFileStore;
  open(more?: Config): Promise<Repository<Options>>;
  createOp(given?: { readonly signal?: AbortSignal }): Promise<Op<'shell' | 'files'>>;
  checkHealth(): Promise<readonly HealthFinding[]>;
  sourcesOf(ring: RingRef): Promise<readonly InstallSource[]>;
  hostOf(ring: RingRef, name?: string): Promise<AptHost>;
  close(): Promise<void>;
}

export const openFreightWorld = async ({ path }: FreightProgram, settings: Config = {}): Promise<FreightWorld> => {
  if (path === undefined) throw new Error(NO_FREIGHT);
  const temporary = await createTemporaryFolder();
  const folder = temporary.path;
  const root = join(folder, 'r');
  await createTestShell(folder).write('instance/.keep', '');
  const files = createMemoryFileStore();
  let calls = 0;
  const setUp = async (more: Config = {}) =>
    plugin.setup(config.parse({ root, program: path, ...settings, ...more }), createTestSetup({ folder: join(folder, 'instance') }));
  const open = async (more?: Config) => (await setUp(more)).repository;
  const createOp: FreightWorld['createOp'] = async ({ signal } = {}) => {
    calls += 1;
    const shell = createTestShell(join(folder, `call-${calls}`), signal === undefined ? {} : { signal });
    await shell.write('.keep', '');
    return createTestOp({ files, shell, timeoutMs: CALL_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) });
  };
  const sourcesOf = async (ring: RingRef) => (await open()).installSources({ ring, options }, await createOp());
  return {
    folder,
    root,
    files,
    open,
    createOp,
    sourcesOf,
    checkHealth: async () => (await (await setUp()).checkHealth?.(createTestCall())) ?? [],
    hostOf: async (ring, name = ring.ring) => createAptHost(join(folder, 'hosts', name), await sourcesOf(ring)),
    close: () => temporary.remove(),
  };
};
