import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  type Artifact,
  type Commit,
  type FileStore,
  type Logger,
  type Op,
  parseAppName,
  parseCommitSha,
  parsePackageName,
  parsePackageVersion,
  parseRingName,
  parseRoleName,
  type Release,
  type RingRef,
  type RunResult,
  type Sandbox,
  type Shell,
} from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';

const execute = promisify(execFile);

export const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export const clock = { now: () => new Date() };

/** No sandbox at all: what the config's `trustRepositories` gives. */
export const trusted: Sandbox = {
  mode: 'trusted',
  gaps: [],
  confine: (argv, { folder, env }) => ({ argv, env: { ...minimalEnvironment(folder), ...env } }),
  giveFolder: async () => undefined,
};

const memory = new Map<string, Uint8Array>();

export const files: FileStore = {
  async put(content) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    const sha256 = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const;
    memory.set(sha256, bytes);
    return { sha256, size: bytes.length };
  },
  async *get({ sha256 }) {
    const bytes = memory.get(sha256);
    if (bytes === undefined) throw new Error(`not stored: ${sha256}`);
    for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
  },
};

const shell: Shell = {
  folder: '/nonexistent',
  run: () => Promise.reject(new Error('the local plugin runs its own commands')),
  write: () => Promise.reject(new Error('unused')),
  read: () => {
    throw new Error('unused');
  },
};

export type TestOp = Op<'shell' | 'files' | 'connect'> & { readonly messages: string[] };

/** A call that ends after `withinMs`; `key` names the effect. */
export const callFor = (key: string, withinMs = 20_000): TestOp => {
  const messages: string[] = [];
  return {
    key,
    attempt: 1,
    signal: AbortSignal.timeout(withinMs),
    deadline: new Date(Date.now() + withinMs),
    logger: silent,
    clock,
    random: () => 0.5,
    report: ({ message }) => void messages.push(message),
    messages,
    shell,
    files,
    connect: () => Promise.reject(new Error('unused')),
  };
};

export const ringOf = (ring: string, app = 'web'): RingRef => ({
  app: parseAppName(app),
  role: parseRoleName('app'),
  ring: parseRingName(ring),
});
export const canary = ringOf('canary');
export const production = ringOf('production');

/** A folder that is gone after the test file, with every process that the plugin was told to start in it. */
export const temporaryFolder = async (): Promise<string> => mkdtemp(join(tmpdir(), 'pipit-test-'));
export const removeFolder = (folder: string): Promise<void> => rm(folder, { recursive: true, force: true });

export interface DebRequest {
  readonly name?: string;
  readonly version: string;
  readonly postInstall?: string;
  readonly depends?: string;
  /** More lines of the control file. */
  readonly fields?: readonly string[];
  /** Absolute path in the package -> text; executable when it begins with `#!`. */
  readonly files?: Readonly<Record<string, string>>;
}

export const buildDebBytes = async (request: DebRequest): Promise<Buffer> => {
  const { name = 'web', version } = request;
  const folder = await temporaryFolder();
  try {
    const root = join(folder, 'root');
    await mkdir(join(root, 'DEBIAN'), { recursive: true });
    const fields = [
      `Package: ${name}`,
      `Version: ${version}`,
      'Architecture: all',
      'Maintainer: pipit <pipit@example.org>',
      'Description: test',
    ];
    if (request.depends !== undefined) fields.push(`Depends: ${request.depends}`);
    fields.push(...(request.fields ?? []));
    await writeFile(join(root, 'DEBIAN/control'), `${fields.join('\n')}\n`);
    if (request.postInstall !== undefined) await writeFile(join(root, 'DEBIAN/postinst'), request.postInstall, { mode: 0o755 });
    const content = request.files ?? { [`/opt/${name}/version`]: `${version}\n` };
    for (const [path, text] of Object.entries(content)) {
      await mkdir(join(root, path, '..'), { recursive: true });
      await writeFile(join(root, path), text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
    }
    await execute('dpkg-deb', ['--root-owner-group', '--build', root, join(folder, 'a.deb')]);
    return await readFile(join(folder, 'a.deb'));
  } finally {
    await removeFolder(folder);
  }
};

export const buildDeb = async (request: DebRequest): Promise<Artifact> => {
  const bytes = await buildDebBytes(request);
  const content = await files.put(
    (async function* () {
      yield bytes;
    })(),
  );
  return {
    format: 'deb',
    name: parsePackageName(request.name ?? 'web'),
    version: parsePackageVersion(request.version),
    architecture: 'all',
    digest: content.sha256,
    content,
  };
};

const commit: Commit = {
  repository: { id: '1', name: 'acme/web', url: 'https://example.org/acme/web.git' },
  sha: parseCommitSha('0123456789abcdef0123456789abcdef01234567'),
  committedAt: '2026-01-01T00:00:00Z',
};

export const releaseOf = (artifact: Artifact): Release => ({ app: canary.app, version: artifact.version, commit, artifacts: [artifact] });

/** A tool of apt, of a host that is a folder, as a person would call it there. */
const runApt = async (root: string, program: 'apt-get' | 'apt-cache', args: readonly string[]): Promise<RunResult> => {
  // As the host script does: the host's apt.conf.d is read, and not this machine's.
  const configuration = join(root, 'tmp-apt.conf');
  await writeFile(configuration, `Dir "${root}/";\n`);
  const option = (text: string): readonly string[] => ['-o', text];
  return runCommand(
    [
      program,
      ...option(`Dir=${root}`),
      ...option(`Dir::State::status=${root}/var/lib/dpkg/status`),
      ...option('Dir::Bin::methods=/usr/lib/apt/methods'),
      ...option('Dir::Bin::dpkg=/usr/bin/dpkg'),
      ...option(`DPkg::Options::=--root=${root}`),
      ...option('DPkg::Options::=--force-not-root'),
      ...option('DPkg::Options::=--force-script-chrootless'),
      ...option('APT::Sandbox::User=root'),
      ...args,
    ],
    { cwd: '/', env: { ...minimalEnvironment('/'), DEBIAN_FRONTEND: 'noninteractive', APT_CONFIG: configuration } },
  );
};

export const aptGet = (root: string, args: readonly string[]): Promise<RunResult> => runApt(root, 'apt-get', args);

/** A source of a host's own that is not pipit's, with these packages. */
export const addSource = async (root: string, debs: readonly (DebRequest & { readonly name: string })[]): Promise<void> => {
  const folder = join(root, 'srv/elsewhere');
  await mkdir(folder, { recursive: true });
  const stanzas: string[] = [];
  for (const deb of debs) {
    const { name, version, fields = [] } = deb;
    const file = `${name}_${version}.deb`;
    const bytes = await buildDebBytes(deb);
    await writeFile(join(folder, file), bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const size = `Filename: ./${file}\nSize: ${bytes.length}\nSHA256: ${sha256}`;
    stanzas.push(`${[`Package: ${name}`, `Version: ${version}`, 'Architecture: all', ...fields, size].join('\n')}\n`);
  }
  await writeFile(join(folder, 'Packages'), stanzas.join('\n'));
  await writeFile(join(root, 'etc/apt/sources.list.d/elsewhere.list'), `deb [trusted=yes] file:${folder} ./\n`);
  const updated = await aptGet(root, ['update', '--error-on=any']);
  if (updated.exitCode !== 0) throw new Error(updated.stderr);
};

/** The versions that a host is offered, as apt itself lists them after an update. */
export const offeredVersions = async (root: string, name = 'web'): Promise<readonly string[]> => {
  const updated = await aptGet(root, ['update', '--error-on=any']);
  if (updated.exitCode !== 0) throw new Error(updated.stderr);
  const { stdout } = await runApt(root, 'apt-cache', ['madison', name]);
  return stdout.split('\n').flatMap((line) => line.split('|')[1]?.trim() ?? []);
};

/** An address of the loopback network that no other run of the tests on this machine uses at the same time. */
export const loopbackAddress = (number: number): string =>
  `127.${100 + (Math.floor(process.pid / 254) % 100)}.${1 + (process.pid % 254)}.${number}`;

/** An empty host that reads one suite. */
export const makeHostRoot = async (
  root: string,
  source: { readonly uri: string; readonly suite: string; readonly key: string },
): Promise<void> => {
  for (const folder of [
    'var/lib/dpkg/info',
    'var/lib/dpkg/updates',
    'var/lib/apt/lists/partial',
    'var/cache/apt/archives/partial',
    'var/log/apt',
  ])
    await mkdir(join(root, folder), { recursive: true });
  for (const folder of ['etc/apt/apt.conf.d', 'etc/apt/sources.list.d', 'etc/apt/preferences.d', 'etc/apt/keyrings'])
    await mkdir(join(root, folder), { recursive: true });
  await writeFile(join(root, 'var/lib/dpkg/status'), '');
  await writeFile(join(root, 'etc/apt/keyrings/test.asc'), source.key);
  await writeFile(
    join(root, 'etc/apt/sources.list.d/test.list'),
    `deb [signed-by=${root}/etc/apt/keyrings/test.asc] ${source.uri} ${source.suite} main\n`,
  );
};

/** dpkg-query's own notation. */
const field = (name: string): string => `\${${name}}`;

export const installedVersion = async (root: string, name = 'web'): Promise<string> => {
  const result = await runCommand(
    ['dpkg-query', `--admindir=${root}/var/lib/dpkg`, '-W', `-f=${field('db:Status-Status')} ${field('Version')}`, name],
    {
      cwd: '/',
      env: minimalEnvironment('/'),
    },
  );
  return result.stdout.trim();
};

/** Waits for a condition, and fails with what it was after the deadline. */
export const until = async <T>(what: string, look: () => Promise<T | undefined> | T | undefined, withinMs = 15_000): Promise<T> => {
  for (const end = Date.now() + withinMs; ; await delay(20)) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
  }
};

export const copyFolder = (from: string, to: string): Promise<void> => cp(from, to, { recursive: true, verbatimSymlinks: true });
