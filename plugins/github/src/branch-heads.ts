import { createHash } from 'node:crypto';
import { type ChangeEvent, type CommitSha, type Credentials, parseCommitSha, parseRefName, type RepositoryRef } from '@pipit/core';
import { runGit } from '@pipit/plugin-kit';

/** The commit of each polled ref. */
export type Heads = Readonly<Record<string, CommitSha>>;

/** One slow repository must not use up the time of the others. */
const LIST_TIMEOUT_MS = 10_000;
/** Source: {@link ChangeEvent.key}. */
const MAX_KEY_LENGTH = 200;

/** `*` stands for anything but `/`. */
const branchPattern = (branch: string): RegExp => {
  const parts = branch.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^refs/heads/${parts.join('[^/]*')}$`);
};

export interface ListHeads {
  readonly url: string;
  readonly branches: readonly string[];
  readonly credentials: Credentials | undefined;
  /** For what a credential needs while git runs. */
  readonly home: string;
  readonly signal: AbortSignal;
}

/** The heads of the watched branches, as the server tells them. Throws what `runGit` does. */
export const listHeads = async ({ url, branches, credentials, home, signal }: ListHeads): Promise<Heads> => {
  const wanted = branches.map((branch) => `refs/heads/${branch}`);
  const listed = await runGit(['ls-remote', '--heads', '--', url, ...wanted], {
    home,
    signal,
    timeoutMs: LIST_TIMEOUT_MS,
    ...(credentials === undefined ? {} : { credentials: { ...credentials, url } }),
  });
  const patterns = branches.map(branchPattern);
  const found = listed.split('\n').flatMap((line) => {
    const [sha = '', ref = ''] = line.split('\t');
    // Git matches the ends of names, and lets `*` stand for `/` too: only what the config means is taken.
    return patterns.some((pattern) => pattern.test(ref)) ? [[ref, parseCommitSha(sha)] as const] : [];
  });
  return Object.fromEntries(found.sort(([one], [other]) => (one < other ? -1 : 1)));
};

/** @param move the number of the change that the polls have found: the same move of a ref at a later time has another */
const keyOf = (move: number, id: string, ref: string, after: string | null): string => {
  const key = `poll:${move}:${id}:${ref}:${after ?? 'deleted'}`;
  return key.length <= MAX_KEY_LENGTH ? key : `poll:${createHash('sha256').update(key).digest('hex')}`;
};

/** The pushes between two looks at a repository. */
export const changesBetween = (
  repository: RepositoryRef,
  { before, after, moves }: { readonly before: Heads; readonly after: Heads; readonly moves: number },
): readonly ChangeEvent[] => {
  const refs = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().filter((ref) => before[ref] !== after[ref]);
  return refs.map((ref, index) => {
    const was = before[ref];
    const is = after[ref] ?? null;
    return {
      key: keyOf(moves + index + 1, repository.id, ref, is),
      repository,
      ref: parseRefName(ref),
      sha: is,
      ...(was === undefined ? {} : { before: was }),
    };
  });
};
