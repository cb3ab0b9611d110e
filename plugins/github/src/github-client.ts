import { Octokit } from '@octokit/rest';
import type { Call, Logger, Secret } from '@pipit/core';
import type { z } from 'zod';
import type { GithubConfig } from './config.js';
import { githubFailure } from './github-failure.js';
import { createAppJwt, createInstallationTokens, type TokenScope } from './installation-token.js';
import { limitedFetch } from './limited-fetch.js';
import { readAnswer } from './read-answer.js';

/** What is read of GitHub's answer. */
export interface GithubAnswer<T> {
  readonly data: T;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface GithubRequest<T> {
  /** For example `GET /repos/{owner}/{repo}`. */
  readonly route: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** What of the answer is used. */
  readonly schema: z.ZodType<T>;
  /** What a GitHub App's token is asked for. */
  readonly scope: TokenScope;
}

export interface GithubClient {
  /** One call of the API. Throws what `githubFailure` gives, and `GITHUB_ANSWER_UNREADABLE`. */
  ask<T>(request: GithubRequest<T>, call: Call): Promise<GithubAnswer<T>>;
  /** A token for git; undefined where the config has none. */
  token(scope: TokenScope, call: Call): Promise<Secret | undefined>;
  /** As the App itself; undefined without an App. */
  readonly asApp: (<T>(route: string, schema: z.ZodType<T>, call: Call) => Promise<GithubAnswer<T>>) | undefined;
  /** Whether it asks with a token or as an App, and not as anybody. */
  readonly hasCredential: boolean;
  readonly apiUrl: string;
}

const REQUEST_TIMEOUT_MS = 20_000;
/** The version of the API that this was written against. */
const API_VERSION = '2022-11-28';

/** Where the API of a GitHub is. Source: GitHub's documentation of GitHub.com, of data residency (`*.ghe.com`) and of Enterprise Server. */
export const apiUrlOf = ({ url, apiUrl }: Pick<GithubConfig, 'url' | 'apiUrl'>): string => {
  if (apiUrl !== undefined) return apiUrl;
  const { protocol, host } = new URL(url);
  if (host === 'github.com' || host.endsWith('.ghe.com')) return `${protocol}//api.${host}`;
  return `${url}/api/v3`;
};

export const createGithubClient = (config: GithubConfig, logger: Logger): GithubClient => {
  const apiUrl = apiUrlOf(config);
  const nothing = (): void => undefined;
  // Octokit's own words may quote an address, so only that it warned is passed on.
  const log = { debug: nothing, info: nothing, warn: () => logger.warn({ apiUrl }, 'GitHub deprecates a call'), error: nothing };
  const octokit = new Octokit({ baseUrl: apiUrl, userAgent: 'pipit', log, request: { fetch: limitedFetch } });

  const send = async (route: string, parameters: Readonly<Record<string, unknown>>, authorization: string | undefined, call: Call) => {
    const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const options = octokit.request.endpoint(route, parameters);
    const asked = { method: options.method, url: new URL(options.url) };
    try {
      return await octokit.request(route, {
        ...parameters,
        headers: { 'x-github-api-version': API_VERSION, ...(authorization === undefined ? {} : { authorization }) },
        request: { signal: AbortSignal.any([call.signal, timeout]) },
      });
    } catch (thrown) {
      throw githubFailure(asked, thrown, { signal: call.signal, timeout, timeoutMs: REQUEST_TIMEOUT_MS });
    }
  };

  const { app, token } = config;
  const jwt = app === undefined ? undefined : createAppJwt(app);
  const installationToken =
    app === undefined || jwt === undefined
      ? undefined
      : createInstallationTokens(app, jwt, (route, parameters, signed, call) => send(route, parameters, `bearer ${signed}`, call));

  const tokenFor = async (scope: TokenScope, call: Call): Promise<Secret | undefined> => token ?? (await installationToken?.(scope, call));

  return {
    apiUrl,
    hasCredential: token !== undefined || app !== undefined,
    token: tokenFor,
    async ask({ route, parameters, schema, scope }, call) {
      const own = await tokenFor(scope, call);
      const { data, headers } = await send(route, parameters, own === undefined ? undefined : `bearer ${own.reveal()}`, call);
      return { data: readAnswer(schema, data, route), headers };
    },
    asApp:
      jwt === undefined
        ? undefined
        : async (route, schema, call) => {
            const { data, headers } = await send(route, {}, `bearer ${await jwt()}`, call);
            return { data: readAnswer(schema, data, route), headers };
          },
  };
};
