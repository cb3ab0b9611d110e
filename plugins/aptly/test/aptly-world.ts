import { spawn } from 'node:child_process';
import { join } from 'node:path';
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
import { freePort } from 'pipit-lab';
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

/** A loaded machine takes its time with gpg. */
const CALL_TIMEOUT_MS = 60_000;

export interface AptlyWorld {
  readonly folder: string;
  /** aptly's own folder. */
  readonly root: string;
  readonly files: MemoryFileStore;
  open(more?: Readonly<Record<string, unknown>>): Promise<Repository<Options>>;
  createOp(given?: { readonly signal?: AbortSignal }): Promise<Op<'shell' | 'files'>>;
  checkHealth(): Promise<readonly HealthFinding[]>;
  sourcesOf(ring: RingRef): Promise<readonly InstallSource[]>;
  hostOf(ring: RingRef, name?: string): Promise<AptHost>;
  close(): Promise<void>;
}

type Config = Readonly<Record<string, unknown>>;

const createWorld = (folder: string, settings: Config, closing: () => Promise<void>): AptlyWorld => {
  const files = createMemoryFileStore();
  let calls = 0;
  const setUp = async (more: Config = {}) =>
    plugin.setup(config.parse({ ...settings, ...more }), createTestSetup({ folder: join(folder, 'instance') }));
  const open = async (more?: Config) => (await setUp(more)).repository;
  const createOp: AptlyWorld['createOp'] = async ({ signal } = {}) => {
    calls += 1;
    const shell = createTestShell(join(folder, `call-${calls}`), signal === undefined ? {} : { signal });
    await shell.write('.keep', '');
    return createTestOp({ files, shell, timeoutMs: CALL_TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) });
  };
  const sourcesOf = async (ring: RingRef) => (await open()).installSources({ ring, options }, await createOp());
  return {
    folder,
    root: join(folder, 'r'),
    files,
    open,
    createOp,
    sourcesOf,
    checkHealth: async () => (await (await setUp()).checkHealth?.(createTestCall())) ?? [],
    hostOf: async (ring, name = ring.ring) => createAptHost(join(folder, 'hosts', name), await sourcesOf(ring)),
    close: closing,
  };
};

const freshFolder = async () => {
  const folder = await createTemporaryFolder();
  await createTestShell(folder.path).write('instance/.keep', '');
  return folder;
};

/** aptly over its command line, in a root folder of its own. */
export const openCommandWorld = async (more: Config = {}): Promise<AptlyWorld> => {
  const folder = await freshFolder();
  const root = join(folder.path, 'r');
  const world = createWorld(folder.path, { root, ...more }, async () => {
    await folder.remove();
  });
  return world;
};

/** A real `aptly api serve` on loopback, with a key that a person made for its user. */
export const openApiWorld = async (more: Config = {}): Promise<AptlyWorld> => {
  const folder = await freshFolder();
  const shell = createTestShell(folder.path);
  const root = join(folder.path, 'r');
  const gnupgHome = join(folder.path, 'gnupg');
  const env = { GNUPGHOME: gnupgHome };
  const must = async (argv: readonly string[]) => {
    const result = await shell.run(argv, { env });
    if (result.exitCode !== 0) throw new Error(`${argv[0]}: ${result.stderr}`);
    return result.stdout;
  };
  await must(['mkdir', '-m', '700', gnupgHome]);
  await must(['gpg', '--batch', '--passphrase', '', '--quick-generate-key', 'somebody', 'ed25519', 'sign', 'never']);
  const key = /^fpr:+([0-9A-F]{40}):/m.exec(await must(['gpg', '--batch', '--with-colons', '--list-secret-keys']))?.[1];
  const publicKey = await must(['gpg', '--batch', '--armor', '--export']);
  await shell.write('server.conf', JSON.stringify({ rootDir: root, gpgProvider: 'gpg' }));
  const port = await freePort();
  const child = spawn('aptly', [`-config=${folder.path}/server.conf`, 'api', 'serve', '-no-lock', `-listen=127.0.0.1:${port}`], {
    env: { PATH: process.env.PATH ?? '', HOME: folder.path, GNUPGHOME: gnupgHome },
    stdio: 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const url = `http://127.0.0.1:${port}`;
  const close = async () => {
    child.kill('SIGTERM');
    await ended;
    await shell.run(['gpgconf', '--kill', 'gpg-agent'], { env });
    await folder.remove();
  };
  const isUp = async () => (await fetch(`${url}/api/version`).catch(() => undefined))?.ok === true;
  for (const end = Date.now() + 20_000; !(await isUp()); await new Promise((resolve) => setTimeout(resolve, 25)))
    if (Date.now() > end) {
      await close();
      throw new Error('aptly api serve did not answer within 20 s');
    }
  return createWorld(folder.path, { api: { url }, url: `file:${root}/public`, key, publicKeys: [publicKey], ...more }, close);
};
