import { createAppAuth } from '@octokit/auth-app';
import { type Call, createSecret, PluginError, type Secret } from '@pipit/core';
import { z } from 'zod';
import type { GithubConfig } from './config.js';
import { readAnswer } from './read-answer.js';

/** What a token is asked for: the least that the call needs. */
export interface TokenScope {
  /** GitHub's number of the repository; without it, all of the installation. */
  readonly repositoryId?: string;
  readonly permissions: Readonly<Record<string, 'read' | 'write'>>;
}

/** A fetch of a large repository must not outlast its token. GitHub's tokens live an hour. */
const RENEW_BEFORE_MS = 10 * 60_000;

const TOKEN_ROUTE = 'POST /app/installations/{installation_id}/access_tokens';

const answerSchema = z.object({ token: z.string().min(1), expires_at: z.iso.datetime({ offset: true }) });

/** Asks the API as the App itself, with this JSON web token. */
export type AskAsApp = (
  route: string,
  parameters: Readonly<Record<string, unknown>>,
  jwt: string,
  call: Call,
) => Promise<{ readonly data: unknown }>;

/** Signs as the App. Throws `GITHUB_APP_KEY_BROKEN` (stop) for a key that cannot sign. */
export const createAppJwt = ({ id, privateKey }: NonNullable<GithubConfig['app']>): (() => Promise<string>) => {
  const auth = createAppAuth({ appId: id, privateKey: privateKey.reveal() });
  return async () => {
    try {
      return (await auth({ type: 'app' })).token;
    } catch {
      // What is thrown may quote the key, so it is not kept.
      throw new PluginError({
        code: 'GITHUB_APP_KEY_BROKEN',
        message: `The private key of the GitHub App ${id} cannot sign`,
        hint: 'Use the whole file that GitHub let you download (BEGIN to END), or make a new key in the settings of the App.',
        recovery: 'stop',
      });
    }
  };
};

/** Tokens of a GitHub App's installation, each kept until shortly before it expires. */
export const createInstallationTokens = (app: NonNullable<GithubConfig['app']>, jwt: () => Promise<string>, ask: AskAsApp) => {
  const kept = new Map<string, { readonly token: Secret; readonly expiresAt: number }>();
  return async ({ repositoryId, permissions }: TokenScope, call: Call): Promise<Secret> => {
    const key = JSON.stringify([repositoryId ?? null, permissions]);
    const known = kept.get(key);
    if (known !== undefined && known.expiresAt - call.clock.now().getTime() > RENEW_BEFORE_MS) return known.token;
    const { data } = await ask(
      TOKEN_ROUTE,
      {
        installation_id: app.installation,
        permissions,
        ...(repositoryId === undefined ? {} : { repository_ids: [Number(repositoryId)] }),
      },
      await jwt(),
      call,
    );
    const answer = readAnswer(answerSchema, data, TOKEN_ROUTE);
    const token = createSecret(answer.token);
    kept.set(key, { token, expiresAt: Date.parse(answer.expires_at) });
    return token;
  };
};
