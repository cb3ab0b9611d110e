import type { RepositoryRef, Secret } from '@pipit/core';
import type { GithubConfig } from './config.js';

/** A repository that the config names. */
export interface GithubRepository {
  /** `owner/name`, as the config writes it. */
  readonly name: string;
  /** What `git fetch` takes, without a credential. Made from the config alone: nothing of a delivery becomes an address. */
  readonly url: string;
  /** GitHub's number as text, where the config says it. */
  readonly id?: string;
  /** Branches that are polled; `*` stands for anything but `/`. */
  readonly branches: readonly string[];
  /** What may sign its pushes: its own secrets and the instance's. */
  readonly secrets: readonly Secret[];
}

const present = <T>(values: readonly (T | undefined)[]): readonly T[] => values.filter((value) => value !== undefined);

const urlOf = (name: string, { url, ssh }: GithubConfig): string => {
  if (ssh === undefined) return `${url}/${name}.git`;
  const port = ssh.port === 22 ? '' : `:${ssh.port}`;
  return `ssh://git@${ssh.host ?? new URL(url).hostname}${port}/${name}.git`;
};

/** The repositories of a config, each with its address and secrets. */
export const listRepositories = (config: GithubConfig): readonly GithubRepository[] =>
  Object.entries(config.repositories).map(([name, { id, branches, secret, previousSecret }]) => ({
    name,
    url: urlOf(name, config),
    ...(id === undefined ? {} : { id: `${id}` }),
    branches,
    secrets: present([secret, previousSecret, config.secret, config.previousSecret]),
  }));

export const refOf = ({ name, url }: GithubRepository, id: string): RepositoryRef => ({ id, name, url });

/** GitHub ignores upper and lower case in names. */
export const isNamed = (repository: GithubRepository, name: string): boolean => repository.name.toLowerCase() === name.toLowerCase();

/** The entry that a delivery is about. One with an id in the config is known by it alone, so that a repository that took over an old name is not taken for it. */
export const findByIdOrName = (
  repositories: readonly GithubRepository[],
  { id, name }: { readonly id: string; readonly name: string },
  /** Ids that GitHub's API told, by name. */
  learned: ReadonlyMap<string, string>,
): GithubRepository | undefined =>
  repositories.find((repository) => repository.id === id) ??
  repositories.find((repository) => repository.id === undefined && isNamed(repository, name)) ??
  // It was renamed at GitHub after its id was learned.
  repositories.find((repository) => repository.id === undefined && learned.get(repository.name) === id);
