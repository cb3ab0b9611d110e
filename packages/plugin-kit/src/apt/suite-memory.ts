import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** What a repository plugin knows of what it published: a cache for `pipit doctor`, which has no shell at the repository's place. */
export interface KnownSuites {
  readonly suites: readonly string[];
  /** Armoured public keys. */
  readonly keys: readonly string[];
  /** Where hosts reach them, where the place alone knows it. */
  readonly url?: string;
}

export interface SuiteMemory {
  /** Suites add up; keys replace those before, unless none are given. */
  remember(known: KnownSuites): Promise<void>;
  read(): Promise<KnownSuites>;
}

const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every((entry) => typeof entry === 'string');

/** Keeps it in `known-suites.json` of the instance's private folder. A file that is gone or broken is an empty memory. */
export const createSuiteMemory = (folder: string): SuiteMemory => {
  const path = join(folder, 'known-suites.json');
  const read = async (): Promise<KnownSuites> => {
    const text = await readFile(path, 'utf8').catch(() => '{}');
    try {
      const value: unknown = JSON.parse(text);
      if (
        typeof value === 'object' &&
        value !== null &&
        'suites' in value &&
        'keys' in value &&
        isTexts(value.suites) &&
        isTexts(value.keys)
      )
        return {
          suites: value.suites,
          keys: value.keys,
          ...('url' in value && typeof value.url === 'string' ? { url: value.url } : {}),
        };
    } catch {
      // A half-written file: what it held is told again by the next call.
    }
    return { suites: [], keys: [] };
  };
  return {
    read,
    async remember({ suites, keys, url }) {
      const before = await read();
      const address = url ?? before.url;
      const after = {
        suites: [...new Set([...before.suites, ...suites])].sort(),
        keys: keys.length > 0 ? keys : before.keys,
        ...(address === undefined ? {} : { url: address }),
      };
      if (JSON.stringify(after) === JSON.stringify(before)) return;
      await writeFile(`${path}.new`, JSON.stringify(after), { mode: 0o600 });
      await rename(`${path}.new`, path);
    },
  };
};
