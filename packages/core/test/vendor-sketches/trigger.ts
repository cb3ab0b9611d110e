import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import {
  type ChangeEvent,
  type CommitSha,
  createSecret,
  type HookRequest,
  type Lifecycle,
  PluginError,
  parseCommitSha,
  parseRefName,
  type Received,
  type RefName,
  type Secret,
  type Trigger,
} from '@pipit/core';

/** GitHub: a signed webhook, and an App's installation token to read with. */
interface GitHubPush {
  readonly ref: string;
  readonly before: string;
  readonly after: string;
  readonly deleted: boolean;
  readonly repository: { readonly id: number; readonly full_name: string; readonly clone_url: string };
  readonly pusher: { readonly name: string };
}
interface GitHubAppClient {
  /** POST /app/installations/{installation_id}/access_tokens */
  createInstallationAccessToken(options: {
    installation_id: number;
    repositories: string[];
    signal: AbortSignal;
  }): Promise<{ token: string; expires_at: string }>;
}

/** GitHub tells of a new or deleted ref with this commit. */
const NO_COMMIT = '0'.repeat(40);

const isSigned = ({ body, headers }: HookRequest, secret: Secret): boolean => {
  const expected = Buffer.from(`sha256=${createHmac('sha256', secret.reveal()).update(body).digest('hex')}`);
  const given = Buffer.from(headers['x-hub-signature-256'] ?? '');
  return given.length === expected.length && timingSafeEqual(given, expected);
};

const changeOf = (delivery: string, push: GitHubPush): ChangeEvent => ({
  key: delivery,
  repository: { id: String(push.repository.id), name: push.repository.full_name, url: push.repository.clone_url },
  ref: parseRefName(push.ref),
  sha: push.deleted ? null : parseCommitSha(push.after),
  ...(push.before === NO_COMMIT ? {} : { before: parseCommitSha(push.before) }),
  author: push.pusher.name,
});

export const createGitHubTrigger = (
  client: GitHubAppClient,
  config: { readonly webhookSecret: Secret; readonly installationId: number },
): { readonly trigger: Trigger } & Lifecycle => ({
  trigger: {
    access: async ({ name }, { signal }) => {
      const { token } = await client.createInstallationAccessToken({
        installation_id: config.installationId,
        repositories: [name.split('/')[1] ?? name],
        signal,
      });
      return { username: 'x-access-token', password: createSecret(token) };
    },
  },
  receive: async (request): Promise<Received> => {
    if (!isSigned(request, config.webhookSecret)) return { refused: 'The signature is wrong', code: 'GITHUB_SIGNATURE_WRONG', status: 401 };
    const delivery = request.headers['x-github-delivery'];
    if (delivery === undefined) return { refused: 'The delivery has no id', code: 'GITHUB_DELIVERY_MISSING', status: 400 };
    if (request.headers['x-github-event'] !== 'push') return { accepted: [] };
    const push = JSON.parse(Buffer.from(request.body).toString('utf8')) as GitHubPush; // signed by GitHub; the real plugin validates it
    return { accepted: [{ type: 'change', event: changeOf(delivery, push) }] };
  },
});

/** A poller of any git repository: `git ls-remote`, whose answer is the cursor. */
interface Git {
  lsRemote(url: string, options: { readonly signal: AbortSignal }): Promise<readonly { readonly ref: string; readonly sha: string }[]>;
}

/** JSON of repository URL -> ref -> commit. */
type Heads = Readonly<Record<string, Readonly<Record<string, CommitSha>>>>;

const eventsOf = (url: string, before: Heads[string], now: Heads[string]): readonly ChangeEvent[] =>
  [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((ref) => before[ref] !== now[ref])
    .map((ref): ChangeEvent => {
      const [old, sha] = [before[ref], now[ref] ?? null];
      return {
        key: createHash('sha256').update(`${url} ${ref} ${old} ${sha}`).digest('hex'),
        repository: { id: url, name: new URL(url).pathname.slice(1).replace(/\.git$/, ''), url },
        ref: parseRefName(ref),
        sha,
        ...(old === undefined ? {} : { before: old }),
      };
    });

export const createGitPoller = (
  git: Git,
  config: { readonly urls: readonly string[]; readonly key: Secret; readonly knownHosts: string },
): Trigger => ({
  poll: async (after, { signal, logger }) => {
    const known: Heads = after === undefined ? {} : (JSON.parse(after) as Heads); // our own cursor
    const heads: Record<string, Record<RefName, CommitSha>> = {};
    const events: ChangeEvent[] = [];
    for (const url of config.urls) {
      const refs = await git.lsRemote(url, { signal }).catch((cause: unknown) => {
        throw new PluginError({ code: 'GIT_REMOTE_UNREADABLE', message: `${url} cannot be read`, recovery: 'retry', cause });
      });
      const now = Object.fromEntries(refs.map(({ ref, sha }) => [parseRefName(ref), parseCommitSha(sha)]));
      heads[url] = now;
      const before = known[url];
      if (before === undefined) logger.info({ url }, 'First look at a repository: its history starts nothing');
      else events.push(...eventsOf(url, before, now));
    }
    return { events, cursor: JSON.stringify(heads) };
  },
  access: async () => ({ privateKey: config.key, knownHosts: config.knownHosts }),
});
