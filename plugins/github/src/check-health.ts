import { type Call, type HealthFinding, isPluginError } from '@pipit/core';
import { mapInTime } from '@pipit/plugin-kit';
import { z } from 'zod';
import { listHeads } from './branch-heads.js';
import type { GithubConfig } from './config.js';
import type { GithubAnswer, GithubClient } from './github-client.js';
import { type GithubRepository, isNamed } from './github-repositories.js';
import { credentialsFor, readRepository } from './repository-access.js';

interface HealthParts {
  readonly config: GithubConfig;
  readonly repositories: readonly GithubRepository[];
  readonly client: GithubClient;
  readonly folder: string;
}

/** GitHub refuses an App's signature that is more than a minute off. */
const MAX_CLOCK_SKEW_MS = 60_000;
const CHECK_LIMITS = { atOnce: 8, startWithinMs: 20_000 } as const;

const installationSchema = z.object({
  permissions: z.record(z.string(), z.string()),
  suspended_at: z.string().nullish(),
});

/** A failure as doctor shows it; anything but a PluginError is a fault of ours. */
const failed = (name: string, thrown: unknown): HealthFinding => {
  if (!isPluginError(thrown)) throw thrown;
  return { name, ok: false, detail: `${thrown.code}: ${thrown.message}`, ...(thrown.hint === undefined ? {} : { hint: thrown.hint }) };
};

const attempt = async (name: string, look: () => Promise<readonly HealthFinding[]>): Promise<readonly HealthFinding[]> => {
  try {
    return await look();
  } catch (thrown) {
    return [failed(name, thrown)];
  }
};

const clockFinding = ({ headers }: GithubAnswer<unknown>, call: Call): readonly HealthFinding[] => {
  const theirs = typeof headers.date === 'string' ? Date.parse(headers.date) : Number.NaN;
  if (Number.isNaN(theirs)) return [];
  const skewMs = call.clock.now().getTime() - theirs;
  const seconds = Math.round(Math.abs(skewMs) / 1_000);
  if (Math.abs(skewMs) <= MAX_CLOCK_SKEW_MS) return [{ name: 'clock', ok: true, detail: `within ${seconds} s of GitHub's` }];
  return [
    {
      name: 'clock',
      ok: false,
      detail: `${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} GitHub's`,
      hint: 'Let this machine take the time from the network: apt-get install systemd-timesyncd.',
    },
  ];
};

/** What may be written is needed by the notifier alone, so that its lack is told and is no fault. */
const rightsFinding = (rights: {
  readonly contents: boolean;
  readonly statuses: boolean;
  readonly deployments: boolean;
}): HealthFinding => {
  const missing = [...(rights.statuses ? [] : ['commit statuses']), ...(rights.deployments ? [] : ['deployments'])];
  if (!rights.contents)
    return {
      name: 'permissions',
      ok: false,
      detail: 'may not read the contents of repositories',
      hint: 'Give the permission "Contents: read" (App), or the scope `repo` (classic token).',
    };
  return {
    name: 'permissions',
    ok: true,
    detail: missing.length === 0 ? 'contents, commit statuses, deployments' : `contents, but not ${missing.join(' and ')}`,
    ...(missing.length === 0 ? {} : { hint: 'Only the notifier needs more: give write permission for what it is to write.' }),
  };
};

const checkApp = async (asApp: NonNullable<GithubClient['asApp']>, installation: number, call: Call): Promise<readonly HealthFinding[]> => {
  const answer = await asApp(`GET /app/installations/${installation}`, installationSchema, call);
  const { permissions, suspended_at } = answer.data;
  if (suspended_at !== undefined && suspended_at !== null)
    return [
      { name: 'app', ok: false, detail: `suspended since ${suspended_at}`, hint: 'Unsuspend it in the settings of the organisation.' },
    ];
  return [
    { name: 'app', ok: true, detail: `installation ${installation}` },
    rightsFinding({
      contents: permissions.contents !== undefined,
      statuses: permissions.statuses === 'write',
      deployments: permissions.deployments === 'write',
    }),
    ...clockFinding(answer, call),
  ];
};

const checkToken = async (client: GithubClient, hasSsh: boolean, call: Call): Promise<readonly HealthFinding[]> => {
  const scope = { permissions: { metadata: 'read' } } as const;
  const answer = await client.ask({ route: 'GET /rate_limit', parameters: {}, schema: z.unknown(), scope }, call);
  const left = answer.headers['x-ratelimit-remaining'];
  const api: HealthFinding = { name: 'api', ok: true, detail: `${client.apiUrl}${left === undefined ? '' : `, ${left} requests left`}` };
  const header = answer.headers['x-oauth-scopes'];
  // Only a classic token says what it may do; others show it at each repository.
  const scopes = typeof header === 'string' && header !== '' ? header.split(',').map((each) => each.trim()) : undefined;
  const rights =
    scopes === undefined
      ? []
      : [
          rightsFinding({
            contents: hasSsh || scopes.includes('repo') || scopes.includes('public_repo'),
            statuses: scopes.includes('repo') || scopes.includes('repo:status'),
            deployments: scopes.includes('repo') || scopes.includes('repo_deployment'),
          }),
        ];
  return [api, ...rights, ...clockFinding(answer, call)];
};

const checkRepository = async (
  { config, client, folder }: HealthParts,
  repository: GithubRepository,
  call: Call,
): Promise<readonly HealthFinding[]> => {
  const name = `repository ${repository.name}`;
  return attempt(name, async () => {
    // With an id and no credential there may be no API at all: a plain git server that signs as GitHub does.
    const facts = repository.id !== undefined && !client.hasCredential ? undefined : await readRepository(client, repository, call);
    const id = facts === undefined ? repository.id : `${facts.id}`;
    if (facts !== undefined && repository.id !== undefined && repository.id !== `${facts.id}`)
      return [
        {
          name,
          ok: false,
          detail: `GitHub's number of it is ${facts.id}, the config says ${repository.id}`,
          hint: 'Another repository has this name now. Correct the name, or the id.',
        },
      ];
    const credentials = await credentialsFor({ config, client }, { id: id ?? '' }, call);
    const heads = await listHeads({ ...repository, credentials, home: folder, signal: call.signal });
    const count = Object.keys(heads).length;
    if (count === 0)
      return [
        {
          name,
          ok: false,
          detail: `none of the branches ${repository.branches.join(', ')}`,
          hint: 'Correct `branches` in the config, or push the branch.',
        },
      ];
    if (facts !== undefined && !isNamed(repository, facts.full_name))
      return [
        {
          name,
          ok: true,
          detail: `${count} watched branch(es); it is called ${facts.full_name} now`,
          hint: `Write ${facts.full_name} into the config with \`id: ${facts.id}\`, before another repository takes the old name.`,
        },
      ];
    return [{ name, ok: true, detail: `${count} watched branch(es)` }];
  });
};

/** Whether the API answers, what the credential may do, and whether each repository can be read. */
export const checkGithubHealth = async (parts: HealthParts, call: Call): Promise<readonly HealthFinding[]> => {
  const { client, config, repositories } = parts;
  const { asApp } = client;
  const needsApi = client.hasCredential || repositories.some(({ id }) => id === undefined);
  const credential =
    config.app !== undefined && asApp !== undefined
      ? await attempt('app', () => checkApp(asApp, config.app?.installation ?? 0, call))
      : needsApi
        ? await attempt('api', () => checkToken(client, config.ssh !== undefined, call))
        : [];
  const found = await mapInTime(repositories, { ...CHECK_LIMITS, call }, (repository) => checkRepository(parts, repository, call));
  const unchecked = (repository: GithubRepository): HealthFinding => ({
    name: `repository ${repository.name}`,
    ok: false,
    detail: 'not looked at in time: others took too long to answer',
    hint: 'Run `pipit doctor` again; see which repositories do not answer.',
  });
  return [...credential, ...repositories.flatMap((repository, index) => found[index] ?? [unchecked(repository)])];
};
