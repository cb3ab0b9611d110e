import { execFile } from 'node:child_process';
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { type Commit, parseCommitSha, type RepositoryRef, type Source } from '@pipit/core';
import { createTemporaryFolder } from './temporary-folder.js';
import { minimalEnvironment } from './test-shell.js';

const execute = promisify(execFile);

/** A text (mode 0644), a text with a mode, or a symbolic link. */
export type TestFile = string | { readonly text: string; readonly mode?: number } | { readonly link: string };
export type TestFiles = Readonly<Record<string, TestFile>>;

export interface TestSourceOptions {
  /** Paths relative to the repository's root. */
  readonly files: TestFiles;
  readonly commit?: {
    /** Committer date, ISO 8601; default the beginning of 2026. */
    readonly committedAt?: string;
    /** Default `acme/web`, with the temporary folder as its URL and id. */
    readonly repository?: Partial<RepositoryRef>;
  };
}

export interface TestSource extends Source {
  /** The git repository, on its branch `main`. */
  readonly folder: string;
  /** Adds a commit with these files changed (`undefined`: removed); the same repository. */
  commitNext(files: Readonly<Record<string, TestFile | undefined>>, committedAt?: string): Promise<TestSource>;
  /** Removes the repository, of every commit. Repeating it is harmless. */
  remove(): Promise<void>;
}

const MAX_ARCHIVE_BYTES = 256 * 1024 * 1024;

const git = (folder: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<{ readonly stdout: Buffer }> =>
  execute('git', [...argv], {
    cwd: folder,
    encoding: 'buffer',
    maxBuffer: MAX_ARCHIVE_BYTES,
    env: { ...minimalEnvironment(folder), GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', ...env },
  });

const writeFiles = async (folder: string, files: Readonly<Record<string, TestFile | undefined>>): Promise<void> => {
  for (const [path, file] of Object.entries(files)) {
    const target = join(folder, path);
    await rm(target, { force: true });
    if (file === undefined) continue;
    await mkdir(dirname(target), { recursive: true });
    if (typeof file === 'object' && 'link' in file) {
      await symlink(file.link, target);
      continue;
    }
    const { text, mode = 0o644 } = typeof file === 'string' ? { text: file } : file;
    await writeFile(target, text);
    await chmod(target, mode);
  }
};

const commitAll = async (folder: string, committedAt: string): Promise<string> => {
  await git(folder, ['add', '--all', '--force']);
  const who = {
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.org',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.org',
  };
  await git(folder, ['commit', '--quiet', '--allow-empty', '--message', 'Change'], {
    ...who,
    GIT_AUTHOR_DATE: committedAt,
    GIT_COMMITTER_DATE: committedAt,
  });
  return (await git(folder, ['rev-parse', 'HEAD'])).stdout.toString().trim();
};

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const sourceOf = (folder: string, commit: Commit): TestSource => ({
  folder,
  commit,
  readText: async (path) => {
    const listed = await git(folder, ['ls-tree', commit.sha, '--', path]); // `100644 blob <id>\t<path>`, or nothing
    if (listed.stdout.toString().split(' ')[1] !== 'blob') return undefined;
    return (await git(folder, ['show', `${commit.sha}:${path}`])).stdout.toString();
  },
  checkOut: async (at, target) => {
    const { stdout } = await git(folder, ['-c', 'tar.umask=0022', 'archive', '--format=tar', commit.sha]);
    const archive = `${target}.tar`;
    await at.write(archive, once(stdout));
    for (const argv of [
      ['mkdir', '-p', '--', target],
      ['tar', '--extract', '--file', archive, '--directory', target],
      ['rm', '--', archive],
    ]) {
      const { exitCode, stderr } = await at.run(argv);
      if (exitCode !== 0) throw new Error(`${argv[0]} ended with ${exitCode}: ${stderr}`);
    }
  },
  commitNext: async (files, committedAt = commit.committedAt) => {
    await writeFiles(folder, files);
    const sha = await commitAll(folder, committedAt);
    return sourceOf(folder, { ...commit, sha: parseCommitSha(sha), committedAt: new Date(committedAt).toISOString() });
  },
  remove: () => rm(folder, { recursive: true, force: true }),
});

/** The source of an exact commit, over a real git repository in a temporary folder. */
export const createTestSource = async ({ files, commit = {} }: TestSourceOptions): Promise<TestSource> => {
  const { path } = await createTemporaryFolder();
  const committedAt = commit.committedAt ?? '2026-01-01T00:00:00.000Z';
  await git(path, ['init', '--quiet', '--initial-branch=main']);
  await writeFiles(path, files);
  const sha = await commitAll(path, committedAt);
  return sourceOf(path, {
    repository: { id: path, name: 'acme/web', url: path, ...commit.repository },
    sha: parseCommitSha(sha),
    committedAt: new Date(committedAt).toISOString(),
  });
};
