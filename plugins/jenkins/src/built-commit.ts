import { type CommitSha, parseCommitSha } from '@pipit/core';
import { type Build, parameterOf } from './jenkins-answers.js';

/** A remote by host and path: `git@example.org:acme/web.git` and `https://ada@example.org/acme/web` are one. */
export const normalizeRemote = (remote: string): string => {
  const scp = /^(?:[^@/\s]+@)?([^:/\s]+):(?!\/\/)(.+)$/.exec(remote);
  const address = scp === null ? remote : `ssh://${scp[1]}/${scp[2]}`;
  const parsed = /^[a-z][a-z+]*:\/\/(?:[^@/]*@)?([^/]*?)(?::\d+)?(\/.*)?$/i.exec(address);
  const place = parsed === null ? address : `${(parsed[1] ?? '').toLowerCase()}${parsed[2] ?? ''}`;
  return place
    .replace(/\/+/g, '/')
    .replace(/\/$/, '')
    .replace(/\.git$/, '');
};

export interface WantedCommit {
  readonly commit: CommitSha;
  /** The repository, as the trigger or the option `remote` names it. */
  readonly remote: string;
  /** The parameter that carries the commit. */
  readonly parameter: string;
}

export type BuiltCommit = { readonly commit: CommitSha } | { readonly unknown: string };

const parsed = (text: string, where: string): BuiltCommit => {
  try {
    return { commit: parseCommitSha(text.toLowerCase()) };
  } catch {
    return { unknown: `${where} is ${JSON.stringify(text.slice(0, 100))}, which is no commit` };
  }
};

/**
 * Which commit a build says that it built. Git's own record (`lastBuiltRevision`) of the right remote counts before all; the parameter counts where
 * the build has no such record. A job that reads its Jenkinsfile from the same remote has several records: it is enough that one names the commit.
 */
export const builtCommit = (build: Build, { commit, remote, parameter }: WantedCommit): BuiltCommit => {
  const records = build.actions.flatMap((action) =>
    action?.lastBuiltRevision ? [{ sha: action.lastBuiltRevision.SHA1, remotes: action.remoteUrls ?? [] }] : [],
  );
  if (records.length === 0) {
    const value = parameterOf(build, parameter);
    return value === undefined || value === ''
      ? { unknown: `the build has no lastBuiltRevision and no parameter ${parameter}` }
      : parsed(value, `the parameter ${parameter}`);
  }
  const wanted = normalizeRemote(remote);
  const right = records.filter(({ remotes }) => remotes.some((each) => normalizeRemote(each) === wanted));
  const [first] = right;
  if (first === undefined) {
    const others = [...new Set(records.flatMap(({ remotes }) => remotes))].join(', ') || 'an unnamed remote';
    return { unknown: `it checked out ${others}, not ${remote}; say \`remote\` in the ci slot if that is the same repository` };
  }
  return parsed((right.find(({ sha }) => sha.toLowerCase() === commit) ?? first).sha, 'lastBuiltRevision');
};
