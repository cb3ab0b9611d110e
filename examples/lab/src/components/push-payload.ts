import { runCommand } from '../run-command.js';

/** What GitHub writes where there is no commit. */
const NO_COMMIT = '0'.repeat(40);

/** A repository as the lab's git server knows it. */
export interface GitRepository {
  /** A number that stays when the repository is renamed. */
  readonly id: number;
  /** `acme/shop`. */
  readonly fullName: string;
  readonly defaultBranch: string;
  /** Path of the bare repository. */
  readonly folder: string;
  readonly cloneUrl: string;
}

/** One ref that a push changed; `before` or `after` is undefined where there is no commit. */
export interface RefUpdate {
  readonly ref: string;
  readonly before?: string;
  readonly after?: string;
}

const git = (repository: GitRepository, ...argv: readonly string[]) => runCommand(['git', '-C', repository.folder, ...argv]);

/** All refs and the commits they are at. */
export const readRefs = async (repository: GitRepository): Promise<ReadonlyMap<string, string>> => {
  const lines = (await git(repository, 'for-each-ref', '--format=%(refname) %(objectname)')).split('\n').filter(Boolean);
  return new Map(lines.map((line): [string, string] => [line.split(' ')[0] ?? '', line.split(' ')[1] ?? '']));
};

/** What changed from one reading of the refs to the next. */
export const diffRefs = (before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): RefUpdate[] =>
  [...new Set([...before.keys(), ...after.keys()])].sort().flatMap((ref) => {
    const [old, now] = [before.get(ref), after.get(ref)];
    return old === now ? [] : [{ ref, ...(old !== undefined && { before: old }), ...(now !== undefined && { after: now }) }];
  });

const readCommit = async (repository: GitRepository, id: string, webUrl: string) => {
  const format = ['%H', '%T', '%cI', '%an', '%ae', '%cn', '%ce', '%B'].join('%x00');
  const text = await git(repository, 'log', '--max-count=1', `--format=${format}`, id);
  const [commit = '', tree = '', timestamp, authorName, authorEmail, committerName, committerEmail, message = ''] = text.split('\0');
  const changed = (await git(repository, 'show', '--format=', '--name-status', '--no-renames', commit)).split('\n').filter(Boolean);
  const paths = (letter: string) => changed.flatMap((line) => (line.startsWith(`${letter}\t`) ? [line.slice(2)] : []));
  return {
    id: commit,
    tree_id: tree,
    distinct: true,
    message: message.trim(),
    timestamp,
    url: `${webUrl}/commit/${commit}`,
    author: { name: authorName, email: authorEmail },
    committer: { name: committerName, email: committerEmail },
    added: paths('A'),
    removed: paths('D'),
    modified: paths('M'),
  };
};

/** A repository as GitHub's payloads show it; the fields that tell something here. */
export const repositoryPayload = (repository: GitRepository) => {
  const [owner = '', name = ''] = repository.fullName.split('/');
  const webUrl = repository.cloneUrl.replace(/\.git$/, '');
  return {
    id: repository.id,
    node_id: Buffer.from(`010:Repository${repository.id}`).toString('base64'),
    name,
    full_name: repository.fullName,
    private: true,
    owner: { name: owner, login: owner, id: 1, type: 'Organization', site_admin: false },
    html_url: webUrl,
    url: webUrl,
    clone_url: repository.cloneUrl,
    default_branch: repository.defaultBranch,
    master_branch: repository.defaultBranch,
  };
};

const isAncestor = (repository: GitRepository, before: string, after: string): Promise<boolean> =>
  git(repository, 'merge-base', '--is-ancestor', before, after).then(
    () => true,
    () => false,
  );

/** The body of GitHub's `push` event for one changed ref. */
export const pushPayload = async (repository: GitRepository, { ref, before, after }: RefUpdate, pusher: string) => {
  const facts = repositoryPayload(repository);
  const head = after === undefined ? null : await readCommit(repository, `${after}^{commit}`, facts.html_url);
  const forced =
    before !== undefined && after !== undefined && ref.startsWith('refs/heads/') && !(await isAncestor(repository, before, after));
  return {
    ref,
    before: before ?? NO_COMMIT,
    after: after ?? NO_COMMIT,
    repository: facts,
    pusher: { name: pusher, email: `${pusher}@lab.invalid` },
    sender: { login: pusher, id: 2, type: 'User', site_admin: false },
    created: before === undefined,
    deleted: after === undefined,
    forced,
    base_ref: null,
    compare: `${facts.html_url}/compare/${before ?? NO_COMMIT}...${after ?? NO_COMMIT}`,
    commits: head === null ? [] : [head],
    head_commit: head,
  };
};
