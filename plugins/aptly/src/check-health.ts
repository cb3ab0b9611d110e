import { existsSync } from 'node:fs';
import { type Call, type HealthFinding, isPluginError } from '@pipit/core';
import { checkSuites, findProgram, PUBLISHED_SUITE, requestHttp, type SuiteMemory } from '@pipit/plugin-kit';
import { z } from 'zod';
import { authorizationOf } from './aptly-api.js';
import { publishedUrl } from './aptly-session.js';
import type { AptlyConfig } from './config.js';

const versionAnswer = z.object({ Version: z.string() });

const checkApi = async (api: NonNullable<AptlyConfig['api']>, signal: AbortSignal): Promise<HealthFinding> => {
  const name = 'aptly API';
  try {
    const answer = await requestHttp({ url: `${api.url.replace(/\/+$/, '')}/api/version`, headers: authorizationOf(api), signal });
    const parsed = versionAnswer.safeParse(answer.status === 200 ? answer.json() : undefined);
    if (parsed.success) return { name, ok: true, detail: `aptly ${parsed.data.Version}` };
    return { name, ok: false, detail: `${api.url} answered ${answer.status}, not as aptly does`, hint: 'Correct `api.url`.' };
  } catch (thrown) {
    const hint = isPluginError(thrown) ? thrown.hint : undefined;
    const detail = thrown instanceof Error ? thrown.message : String(thrown);
    return { name, ok: false, detail, hint: hint ?? 'Correct `api.url`.' };
  }
};

/** For `pipit doctor`. The place of a command line may be another host, which is not looked at from here. */
const checkPrograms = (root: string | undefined): readonly HealthFinding[] =>
  root !== undefined && existsSync(root)
    ? [
        findProgram('aptly', 'aptly'),
        findProgram('gpg', 'gnupg'),
        findProgram('gpgconf', 'gnupg'),
        findProgram('gpgv', 'gpgv'),
        findProgram('dpkg-deb', 'dpkg'),
      ]
    : [{ name: 'aptly', ok: true, detail: `${root} is not on this machine yet: nothing is published, or it works on another host` }];

export const checkAptlyHealth = async (config: AptlyConfig, memory: SuiteMemory, { signal }: Call): Promise<readonly HealthFinding[]> => {
  const { suites, keys } = await memory.read();
  const trusted = config.publicKeys ?? keys;
  const known = trusted.length === 0 ? [] : [...new Set([...(suites.length > 0 ? [PUBLISHED_SUITE] : []), ...suites])];
  const tool = config.api === undefined ? checkPrograms(config.root) : [await checkApi(config.api, signal), findProgram('gpgv', 'gpgv')];
  return [...tool, ...(await checkSuites({ url: publishedUrl(config), suites: known, keys: trusted, signal }))];
};
