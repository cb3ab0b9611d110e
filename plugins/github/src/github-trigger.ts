import { type Call, type ChangeEvent, isPluginError, type Lifecycle, type Logger, type Trigger } from '@pipit/core';
import { mapInTime } from '@pipit/plugin-kit';
import { changesBetween, type Heads, listHeads } from './branch-heads.js';
import type { GithubConfig } from './config.js';
import type { GithubClient } from './github-client.js';
import { type GithubRepository, isNamed, refOf } from './github-repositories.js';
import { parseHeadsCursor, writeHeadsCursor } from './heads-cursor.js';
import { receiveDelivery } from './receive-delivery.js';
import { credentialsFor, readRepository } from './repository-access.js';

export interface GithubTriggerOptions {
  readonly config: GithubConfig;
  readonly repositories: readonly GithubRepository[];
  readonly client: GithubClient;
  /** For what a credential needs while git runs. */
  readonly folder: string;
  readonly logger: Logger;
}

/** Each is one process and one connection. One that hangs keeps none of the others from being looked at. */
const POLL_LIMITS = { atOnce: 16, startWithinMs: 15_000 } as const;

/** Pushes to GitHub: told by signed webhooks, and found by comparing the heads of the watched branches. */
export const createGithubTrigger = ({
  config,
  repositories,
  client,
  folder,
  logger,
}: GithubTriggerOptions): { readonly trigger: Required<Trigger> } & Pick<Lifecycle, 'receive'> => {
  /** By name. Only what the cursor holds too, or the API tells again. */
  const learned = new Map<string, string>();

  const idOf = async (repository: GithubRepository, call: Call): Promise<string> => {
    const known = repository.id ?? learned.get(repository.name);
    if (known !== undefined) return known;
    const { id, full_name } = await readRepository(client, repository, call);
    if (!isNamed(repository, full_name)) logger.warn({ repository: repository.name, now: full_name }, 'Repository renamed at GitHub');
    learned.set(repository.name, `${id}`);
    return `${id}`;
  };

  const look = async (repository: GithubRepository, call: Call): Promise<{ readonly id: string; readonly heads: Heads } | undefined> => {
    try {
      const id = await idOf(repository, call);
      const credentials = await credentialsFor({ config, client }, { id }, call);
      return { id, heads: await listHeads({ ...repository, credentials, home: folder, signal: call.signal }) };
    } catch (thrown) {
      if (call.signal.aborted || !isPluginError(thrown)) throw thrown;
      const { code, message, hint } = thrown;
      logger.warn({ repository: repository.name, code, problem: message, hint }, 'Repository not readable');
      return undefined;
    }
  };

  const poll: Trigger['poll'] = async (after, call) => {
    call.signal.throwIfAborted();
    const known = parseHeadsCursor(after) ?? { ids: {}, heads: {}, moves: call.clock.now().getTime() };
    for (const { name } of repositories) {
      const id = known.ids[name];
      if (id !== undefined) learned.set(name, id);
    }
    const looks = await mapInTime(repositories, { ...POLL_LIMITS, call }, (repository) => look(repository, call));
    const events: ChangeEvent[] = [];
    const ids: Record<string, string> = {};
    const heads: Record<string, Heads> = {};
    for (const [index, repository] of repositories.entries()) {
      const found = looks[index];
      const id = found?.id ?? repository.id ?? learned.get(repository.name);
      if (id === undefined) continue;
      ids[repository.name] = id;
      const before = known.heads[id];
      // What cannot be read keeps its place, so that what is pushed meanwhile is told once it can be read again.
      const now = found?.heads ?? before;
      if (now !== undefined) heads[id] = now;
      // A repository that was never looked at begins here: its past is no push.
      if (found !== undefined && before !== undefined)
        events.push(...changesBetween(refOf(repository, id), { before, after: found.heads, moves: known.moves + events.length }));
    }
    return { events, cursor: writeHeadsCursor({ ids, heads, moves: known.moves + events.length }) };
  };

  const hasSecrets = repositories.some(({ secrets }) => secrets.length > 0);
  return {
    trigger: {
      poll,
      findRepository: async (named, call) => {
        const found = repositories.find((repository) => isNamed(repository, named) || repository.id === named);
        return found && refOf(found, await idOf(found, call));
      },
      access: async ({ id, name, url }, call) => {
        const found = repositories.find((repository) => repository.id === id || isNamed(repository, name));
        // The credential goes nowhere but to the GitHub of the config, whatever an older record says.
        return found?.url === url ? credentialsFor({ config, client }, { id }, call) : undefined;
      },
    },
    ...(hasSecrets ? { receive: (request) => receiveDelivery({ repositories, learned }, request) } : {}),
  };
};
