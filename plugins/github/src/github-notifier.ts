import { type Commit, type Handle, type Notice, type Notifier, type Op, PluginError } from '@pipit/core';
import { z } from 'zod';
import type { NotifierOptions } from './config.js';
import type { GithubClient } from './github-client.js';
import { type GithubRepository, isNamed } from './github-repositories.js';
import { commitStateOf, deploymentStateOf } from './map-notice-state.js';
import { splitName } from './repository-access.js';

/** Source: GitHub cuts nothing: a longer description is refused with 422. */
const MAX_DESCRIPTION_LENGTH = 140;
const DEFAULT_CONTEXT = 'pipit';
/** Deployments of one commit and environment; there are as many as notifiers and tries. */
const LISTED_DEPLOYMENTS = 100;

/** What is handed back, to update in place. */
const handleSchema = z.object({ repositoryId: z.string(), sha: z.string(), environment: z.string(), deployment: z.int() });

/** A handle of another commit or environment is not this deployment's. */
const deploymentOf = (previous: Handle | undefined, { repository, sha }: Commit, environment: string): number | undefined => {
  if (previous === undefined) return undefined;
  try {
    const handle = handleSchema.parse(JSON.parse(previous));
    const isSame = handle.repositoryId === repository.id && handle.sha === sha && handle.environment === environment;
    return isSame ? handle.deployment : undefined;
  } catch {
    return undefined;
  }
};

const describe = (text: string): string => {
  const characters = [...text.replace(/\p{C}/gu, ' ').trim()];
  return characters.length <= MAX_DESCRIPTION_LENGTH ? characters.join('') : `${characters.slice(0, MAX_DESCRIPTION_LENGTH - 1).join('')}…`;
};

/** GitHub takes only addresses of the web. */
const linkOf = (url: string | undefined): string | undefined => (url !== undefined && /^https?:\/\//.test(url) ? url : undefined);

const createdSchema = z.object({ id: z.int().min(1) });
const deploymentsSchema = z.array(z.object({ id: z.int().min(1), payload: z.unknown() }));
const ownPayload = z.object({ pipit: z.string() });

/** GitHub gives the payload back as an object, or as the text that an older server kept. */
const subjectOf = (payload: unknown): string | undefined => {
  let value = payload;
  if (typeof payload === 'string')
    try {
      value = JSON.parse(payload);
    } catch {
      return undefined;
    }
  const parsed = ownPayload.safeParse(value);
  return parsed.success ? parsed.data.pipit : undefined;
};

interface Told {
  readonly notice: Notice;
  readonly commit: Commit;
  readonly previous: Handle | undefined;
}

/** Tells GitHub how a commit fares: a status at the commit, and deployments. A notice without a commit has no place there and is left out. */
export const createGithubNotifier = ({
  repositories,
  client,
}: {
  readonly repositories: readonly GithubRepository[];
  readonly client: GithubClient;
}): Notifier<NotifierOptions> => {
  const setStatus = async ({ notice, commit }: Told, context: string, op: Op): Promise<void> => {
    await client.ask(
      {
        route: 'POST /repos/{owner}/{repo}/statuses/{sha}',
        parameters: {
          ...splitName(commit.repository.name),
          sha: commit.sha,
          state: commitStateOf(notice.state),
          context,
          description: describe(notice.title),
          ...(linkOf(notice.url) === undefined ? {} : { target_url: linkOf(notice.url) }),
        },
        schema: z.unknown(),
        scope: { repositoryId: commit.repository.id, permissions: { statuses: 'write' } },
      },
      op,
    );
  };

  const setDeployment = async (told: Told, options: NonNullable<NotifierOptions['deployments']>, op: Op): Promise<Handle> => {
    const { notice, commit, previous } = told;
    const { environment } = options;
    const place = splitName(commit.repository.name);
    const scope = { repositoryId: commit.repository.id, permissions: { deployments: 'write' } } as const;
    const find = async (): Promise<number | undefined> => {
      const { data } = await client.ask(
        {
          route: 'GET /repos/{owner}/{repo}/deployments',
          parameters: { ...place, sha: commit.sha, environment, per_page: LISTED_DEPLOYMENTS },
          schema: deploymentsSchema,
          scope,
        },
        op,
      );
      return data.find(({ payload }) => subjectOf(payload) === notice.subject)?.id;
    };
    const create = async (): Promise<number> => {
      const { data } = await client.ask(
        {
          route: 'POST /repos/{owner}/{repo}/deployments',
          parameters: {
            ...place,
            ref: commit.sha,
            environment,
            description: describe(notice.title),
            payload: { pipit: notice.subject },
            production_environment: options.production,
            transient_environment: options.transient,
            // What is delivered was decided by pipit; GitHub must neither merge a branch into it nor wait for statuses.
            auto_merge: false,
            required_contexts: [],
          },
          schema: createdSchema,
          scope,
        },
        op,
      );
      return data.id;
    };
    // A restart may have lost the handle of what was already created.
    const deployment = deploymentOf(previous, commit, environment) ?? (await find()) ?? (await create());
    await client.ask(
      {
        route: 'POST /repos/{owner}/{repo}/deployments/{deployment_id}/statuses',
        parameters: {
          ...place,
          deployment_id: deployment,
          state: deploymentStateOf(notice.state),
          description: describe(notice.title),
          ...(linkOf(notice.url) === undefined ? {} : { log_url: linkOf(notice.url) }),
        },
        schema: z.unknown(),
        scope,
      },
      op,
    );
    return JSON.stringify({ repositoryId: commit.repository.id, sha: commit.sha, environment, deployment });
  };

  const expectWritable = ({ repository }: Commit): void => {
    if (!repositories.some((each) => each.id === repository.id || isNamed(each, repository.name)))
      throw new PluginError({
        code: 'GITHUB_REPOSITORY_UNKNOWN',
        message: `The config of GitHub names no repository ${repository.name}`,
        hint: 'Add it under `repositories`, or tell its notices elsewhere.',
        recovery: 'stop',
      });
    if (!client.hasCredential)
      throw new PluginError({
        code: 'GITHUB_CREDENTIAL_MISSING',
        message: 'Statuses and deployments need a token or a GitHub App, and the config has neither',
        hint: 'Give `token` or `app` to the instance. An ssh key only reads git.',
        recovery: 'stop',
      });
  };

  return {
    async notify({ notice, previous, options }, op) {
      const { commit } = notice;
      if (commit === undefined) return undefined;
      expectWritable(commit);
      const told = { notice, commit, previous };
      const { statuses, deployments } = options;
      if (statuses !== false) await setStatus(told, statuses === true ? DEFAULT_CONTEXT : statuses.context, op);
      return deployments === undefined ? undefined : setDeployment(told, deployments, op);
    },
  };
};
