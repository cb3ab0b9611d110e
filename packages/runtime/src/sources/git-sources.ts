import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { ParseStrangersYaml } from '@pipit/config';
import {
  type AppName,
  type Commit,
  type CommitSha,
  type Credentials,
  isPluginError,
  PluginError,
  parseCommitSha,
  REPOSITORY_FILE,
  type RefName,
  type RepositoryRef,
  type Shell,
  type Source,
} from '@pipit/core';
import type { RepositoryFacts, Sources } from '@pipit/pipeline';
import { type GitCredentials, MAX_OUTPUT_BYTES, minimalEnvironment, runCommand, runGit } from '@pipit/plugin-kit';
import { createFactsReader } from './facts-reader.js';
import { measureTree, type TreeLimits } from './measure-tree.js';
import { parseTreeEntry, type TreeEntry } from './tree-entry.js';

export interface GitSourcesOptions {
  /** Where the mirrors are kept. */
  readonly folder: string;
  /** How pipit reads a repository. */
  readonly accessFor: (repository: RepositoryRef, signal: AbortSignal) => Promise<Credentials | undefined>;
  readonly parseYaml: ParseStrangersYaml;
  /** What a commit may have when it is laid out: no more than a build may. */
  readonly treeLimits: TreeLimits;
}

/** Paths that a push changed. */
export interface ChangedPaths {
  readonly paths: readonly string[];
  /** There are more than pipit reads. */
  readonly isCut: boolean;
}

export interface GitSources extends Sources {
  /** Removes the temporary folders of a process that was killed. Call it before anything else is asked, and only by whoever holds the data folder. */
  removeLeftovers(): Promise<void>;
  /** The service that plugins get. */
  sourceOf(commit: Commit, signal: AbortSignal): Source;
  /** Paths that differ between two commits, or all of the newer one's when the older is not known. */
  readChangedPaths(
    repository: RepositoryRef,
    change: { readonly ref: RefName; readonly sha: CommitSha; readonly before: CommitSha | undefined },
    signal: AbortSignal,
  ): Promise<ChangedPaths>;
  /** Whether the ref's head is this commit or was made on top of it. What git can fetch besides (pull requests, forks) is not of the ref. */
  isOfRef(
    commit: { readonly repository: RepositoryRef; readonly ref: RefName; readonly sha: CommitSha },
    signal: AbortSignal,
  ): Promise<boolean>;
}

/** Mirrors bear a hash and end in `.git`; everything else here is temporary: a check-out, or a folder with a credential. */
const isMirror = (name: string): boolean => /^[0-9a-f]+\.git$/.test(name);
/** What a cut through a character may take away. */
const MAX_CHARACTER_BYTES = 3;
/** A tool that a killed process left running may still write there. */
const REMOVE_RETRIES = 5;
/** Whoever commits chooses the time; a later one has no four digits for its year. */
const YEAR_10000_S = 253_402_300_800;
/** A commit is on the disk so often while it is laid out: as files, packed here, packed and unpacked in the work folder. */
const COPIES = 4;
/** What stays free for everybody else, as in the sandbox. */
const RESERVE = { share: 0.05, bytes: 1024 ** 3 } as const;
/** A repository that answers does so in a second or two. */
const READ_HEAD_TIMEOUT_MS = 60_000;

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Pipit's own reading of git: one bare mirror a repository, exact commits, nobody else's configuration. */
export const createGitSources = ({ folder, accessFor, parseYaml, treeLimits }: GitSourcesOptions): GitSources => {
  const mirrorOf = ({ url }: RepositoryRef): string => join(folder, `${createHash('sha256').update(url).digest('hex').slice(0, 24)}.git`);
  const fetching = new Map<string, Promise<unknown>>();

  /** git itself locks single refs only: two fetches into one mirror are run one after the other. */
  const credentialsFor = async (repository: RepositoryRef, signal: AbortSignal): Promise<GitCredentials | undefined> => {
    const credentials = await accessFor(repository, signal);
    return credentials && { ...credentials, url: repository.url };
  };

  const serially = async <T>(mirror: string, work: () => Promise<T>): Promise<T> => {
    const result = (fetching.get(mirror) ?? Promise.resolve()).then(work);
    fetching.set(
      mirror,
      result.catch(() => undefined),
    );
    return result;
  };

  const git = (mirror: string, argv: readonly string[], signal: AbortSignal, env?: Readonly<Record<string, string>>): Promise<string> =>
    runGit(['--git-dir', mirror, ...argv], { home: folder, signal, ...(env === undefined ? {} : { env }) });

  const has = async (mirror: string, sha: string, signal: AbortSignal): Promise<boolean> => {
    if (!(await exists(mirror))) return false;
    const { exitCode } = await runCommand(['git', '--git-dir', mirror, 'cat-file', '-e', `${sha}^{commit}`], {
      cwd: folder,
      env: minimalEnvironment(folder),
      signal,
    });
    return exitCode === 0;
  };

  const ensure = (repository: RepositoryRef, ref: RefName | undefined, sha: CommitSha, signal: AbortSignal): Promise<string> => {
    const mirror = mirrorOf(repository);
    return serially(mirror, async () => {
      if (await has(mirror, sha, signal)) return mirror;
      if (!(await exists(mirror))) await runGit(['init', '--quiet', '--bare', mirror], { home: folder, signal });
      const credentials = await credentialsFor(repository, signal);
      const fetch = (what: string): Promise<string> =>
        runGit(['--git-dir', mirror, 'fetch', '--quiet', '--no-tags', '--force', repository.url, what], {
          home: folder,
          signal,
          credentials,
        });
      let failure: unknown;
      // A force push may have left the commit behind: then the server may still give it by its id.
      const byRef = ref === undefined ? [] : [`${ref}:refs/pipit/${createHash('sha256').update(ref).digest('hex').slice(0, 16)}`];
      for (const what of [...byRef, sha]) {
        failure = undefined;
        await fetch(what).catch((error: unknown) => {
          failure = error;
        });
        if (await has(mirror, sha, signal)) return mirror;
      }
      const reached = await runGit(['ls-remote', '--heads', repository.url], { home: folder, signal, credentials }).then(
        () => true,
        () => false,
      );
      if (!reached && failure !== undefined) throw failure;
      throw new PluginError({
        code: 'COMMIT_NOT_FOUND',
        message: `Repository ${repository.name} has no commit ${sha}`,
        hint: 'It was probably removed by a force push: push again.',
        recovery: 'stop',
      });
    });
  };

  const findEntry = async (mirror: string, sha: string, path: string, signal: AbortSignal): Promise<TreeEntry | undefined> => {
    const listed = await git(mirror, ['ls-tree', '--full-tree', '--long', '-z', sha, '--', path], signal);
    return listed === '' ? undefined : parseTreeEntry(listed);
  };

  const readBlob = (mirror: string, { object }: TreeEntry, signal: AbortSignal): Promise<string> =>
    git(mirror, ['cat-file', 'blob', object], signal);

  const readFile = async (mirror: string, sha: string, path: string, signal: AbortSignal): Promise<string | undefined> => {
    const entry = await findEntry(mirror, sha, path, signal);
    if (entry === undefined) return undefined;
    // More would come back without its beginning.
    if (entry.type === 'blob' && entry.size <= MAX_OUTPUT_BYTES) return readBlob(mirror, entry, signal);
    throw new PluginError({
      code: 'SOURCE_FILE_NOT_READ',
      message:
        entry.type === 'blob'
          ? `${path} of commit ${sha} has ${entry.size} bytes; at most ${MAX_OUTPUT_BYTES} are read`
          : `${path} of commit ${sha} is no file`,
      hint: 'Make it a file of a reasonable size.',
      recovery: 'stop',
    });
  };

  const facts = createFactsReader({ parseYaml, readBlob });

  const fetchCommit = async (repository: RepositoryRef, ref: RefName, sha: CommitSha, signal: AbortSignal): Promise<Commit> => {
    const mirror = await ensure(repository, ref, sha, signal);
    // Not git show: it compares with the commit before, although nobody asks for the difference.
    const seconds = Number((await git(mirror, ['log', '--max-count=1', '--format=%ct', sha], signal)).trim());
    if (seconds >= 0 && seconds < YEAR_10000_S) return { repository, sha, committedAt: new Date(seconds * 1000).toISOString() };
    throw new PluginError({
      code: 'COMMIT_TIME_INVALID',
      message: `Commit ${sha} says that it was made ${seconds} seconds after 1970, which is no time of these centuries`,
      hint: 'Set the clock of the machine that made it, commit again (git commit --amend --reset-author), and push.',
      recovery: 'stop',
    });
  };

  const readHead: Sources['readHead'] = async (repository, ref, signal) => {
    const credentials = await credentialsFor(repository, signal);
    const tagged = `${ref}^{}`;
    const listed = await runGit(['ls-remote', '--', repository.url, ref, tagged], {
      home: folder,
      signal,
      credentials,
      timeoutMs: READ_HEAD_TIMEOUT_MS,
    });
    const shaOf = (name: string): CommitSha | undefined => {
      const line = listed.split('\n').find((each) => each.endsWith(`\t${name}`));
      return line === undefined ? undefined : parseCommitSha(line.slice(0, line.indexOf('\t')));
    };
    const object = shaOf(ref);
    return object === undefined ? undefined : { commit: shaOf(tagged) ?? object, object };
  };

  /** A commit that a run has fetched is in the mirror, unless the mirror was deleted meanwhile. */
  const ensureFetched = (commit: Commit, signal: AbortSignal): Promise<string> => ensure(commit.repository, undefined, commit.sha, signal);

  /** Work outside of the sandbox has none of its limits: what does not fit is refused before anything is written. */
  const requireRoom = async (mirror: string, sha: CommitSha, signal: AbortSignal): Promise<void> => {
    const { bytes } = await measureTree(mirror, sha, treeLimits, signal);
    const { blocks, bavail, bsize } = await statfs(folder);
    const reserve = Math.min(RESERVE.bytes, blocks * bsize * RESERVE.share);
    if (bytes * COPIES + reserve <= bavail * bsize) return;
    throw new PluginError({
      code: 'CHECKOUT_FAILED',
      message: `Commit ${sha} takes ${bytes} bytes, ${COPIES} times while it is laid out, and ${folder} has ${bavail * bsize} left`,
      hint: 'Make room on the disk of the data folder.',
      recovery: 'retry',
    });
  };

  const checkOut = async (commit: Commit, at: Shell, target: string, signal: AbortSignal): Promise<void> => {
    const mirror = await ensureFetched(commit, signal);
    await requireRoom(mirror, commit.sha, signal);
    const temporary = await mkdtemp(join(folder, 'checkout-'));
    try {
      const tree = join(temporary, 'tree');
      await mkdir(tree);
      const env = { GIT_INDEX_FILE: join(temporary, 'index') };
      await git(mirror, ['--work-tree', tree, 'read-tree', commit.sha], signal, env);
      await git(mirror, ['--work-tree', tree, 'checkout-index', '--all', '--force'], signal, env);
      const archive = join(temporary, 'tree.tar');
      const packed = await runCommand(['tar', '--create', '--file', archive, '--directory', tree, '.'], {
        cwd: temporary,
        env: minimalEnvironment(temporary),
        signal,
      });
      await at.write(`${target}.tar`, createReadStream(archive));
      await at.run(['mkdir', '-p', target]);
      const unpacked = await at.run(['tar', '--extract', '--no-same-owner', '--file', `${target}.tar`, '--directory', target]);
      await at.run(['rm', '-f', `${target}.tar`]);
      if (packed.exitCode !== 0 || unpacked.exitCode !== 0)
        throw new PluginError({
          code: 'CHECKOUT_FAILED',
          message: `Commit ${commit.sha} could not be laid out: ${packed.stderr}${unpacked.stderr}`.trim(),
          hint: 'See that the disk has room.',
          recovery: 'retry',
        });
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  };

  return {
    removeLeftovers: async () => {
      for (const name of (await readdir(folder)).filter((each) => !isMirror(each)))
        await rm(join(folder, name), { recursive: true, force: true, maxRetries: REMOVE_RETRIES });
    },
    fetchCommit,
    readHead,
    readFacts: async (commit: Commit, app: AppName, signal: AbortSignal): Promise<RepositoryFacts> => {
      const mirror = await ensureFetched(commit, signal);
      const entry = await findEntry(mirror, commit.sha, REPOSITORY_FILE, signal);
      return facts.read({ mirror, commit, app, entry }, signal);
    },
    readChangedPaths: async (repository, { ref, sha, before }, signal) => {
      const mirror = await ensure(repository, ref, sha, signal);
      await measureTree(mirror, sha, treeLimits, signal);
      const known = before !== undefined && (await has(mirror, before, signal));
      const listed = known
        ? await git(mirror, ['diff', '--name-only', '--no-renames', '-z', before, sha], signal)
        : await git(mirror, ['ls-tree', '-r', '--name-only', '-z', sha], signal);
      const paths = listed.split('\0').filter((path) => path !== '');
      // Of more, only the end came back: the first path may be half of one.
      const isCut = Buffer.byteLength(listed) >= MAX_OUTPUT_BYTES - MAX_CHARACTER_BYTES;
      return { paths: isCut ? paths.slice(1) : paths, isCut };
    },
    isOfRef: async ({ repository, ref, sha }, signal) => {
      const head = await readHead(repository, ref, signal);
      if (head === undefined) return false;
      if (head.commit === sha) return true;
      const mirror = await ensure(repository, ref, head.commit, signal);
      if (!(await has(mirror, sha, signal))) return false;
      const argv = ['git', '--git-dir', mirror, 'merge-base', '--is-ancestor', sha, head.commit];
      const { exitCode, stderr } = await runCommand(argv, { cwd: folder, env: minimalEnvironment(folder), signal });
      if (exitCode === 0 || exitCode === 1) return exitCode === 0;
      throw new PluginError({
        code: 'GIT_FAILED',
        message: `git merge-base failed (${exitCode}): ${stderr.slice(-500)}`,
        recovery: 'retry',
      });
    },
    sourceOf: (commit, signal) => ({
      commit,
      readText: async (path) => readFile(await ensureFetched(commit, signal), commit.sha, path, signal),
      checkOut: (at, target) => checkOut(commit, at, target, signal),
    }),
  };
};

/** Whether git is there at all, for `pipit doctor`. */
export const findGitVersion = async (folder: string, signal: AbortSignal): Promise<string | undefined> =>
  runGit(['--version'], { home: folder, signal }).then(
    (text) => text.trim(),
    (error: unknown) => {
      if (isPluginError(error)) return undefined;
      throw error;
    },
  );
