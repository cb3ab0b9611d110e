import type { Call, Credentials, RepositoryRef } from '@pipit/core';
import { z } from 'zod';
import type { GithubConfig } from './config.js';
import type { GithubClient } from './github-client.js';
import type { GithubRepository } from './github-repositories.js';

/** Source: GitHub, "Authenticating as a GitHub App installation": this name goes with every kind of token. */
const TOKEN_USERNAME = 'x-access-token';

const METADATA = { permissions: { metadata: 'read' } } as const;

const repositorySchema = z.object({
  id: z.int().min(1),
  full_name: z.string().min(1),
  permissions: z.object({ push: z.boolean(), pull: z.boolean() }).optional(),
});

export type RepositoryFacts = z.output<typeof repositorySchema>;

export const splitName = (name: string): { readonly owner: string; readonly repo: string } => {
  const slash = name.indexOf('/');
  return { owner: name.slice(0, slash), repo: name.slice(slash + 1) };
};

/** What the API says of a repository, under an old name too: GitHub leads on to the new one. */
export const readRepository = async (
  client: GithubClient,
  { name }: Pick<GithubRepository, 'name'>,
  call: Call,
): Promise<RepositoryFacts> =>
  (await client.ask({ route: 'GET /repos/{owner}/{repo}', parameters: splitName(name), schema: repositorySchema, scope: METADATA }, call))
    .data;

/** How git reads a repository with the config's credential; undefined: without one. */
export const credentialsFor = async (
  { config, client }: { readonly config: GithubConfig; readonly client: GithubClient },
  { id }: Pick<RepositoryRef, 'id'>,
  call: Call,
): Promise<Credentials | undefined> => {
  if (config.ssh !== undefined) return { privateKey: config.ssh.privateKey, knownHosts: config.ssh.knownHosts };
  const token = await client.token({ repositoryId: id, permissions: { contents: 'read' } }, call);
  return token && { username: TOKEN_USERNAME, password: token };
};
