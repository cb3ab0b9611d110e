import { MAX_STRANGERS_YAML_BYTES, type ParseStrangersYaml, parseRepositoryFile } from '@pipit/config';
import { type AppName, type Commit, PluginError, REPOSITORY_FILE } from '@pipit/core';
import type { RepositoryFacts } from '@pipit/pipeline';
import { createParseMark } from './parse-marks.js';
import type { TreeEntry } from './tree-entry.js';

/** Files whose facts are kept in memory: a run reads its own three times, and most commits do not change it. */
const MAX_KEPT = 500;
/** An error is kept in the run's row, and shown. */
const MAX_SHOWN_CHARACTERS = 2_000;

export interface FactsReaderOptions {
  readonly parseYaml: ParseStrangersYaml;
  readonly readBlob: (mirror: string, entry: TreeEntry, signal: AbortSignal) => Promise<string>;
}

export interface FactsQuery {
  readonly mirror: string;
  readonly commit: Commit;
  readonly app: AppName;
  /** Where the commit has its file; undefined when it has none. */
  readonly entry: TreeEntry | undefined;
}

type Kept = { readonly facts: RepositoryFacts } | { readonly refused: (commit: Commit) => PluginError };

const invalid =
  (what: string) =>
  (commit: Commit): PluginError =>
    new PluginError({
      code: 'REPOSITORY_FILE_INVALID',
      message: `${REPOSITORY_FILE} of commit ${commit.sha.slice(0, 7)} is not valid: ${what.slice(0, MAX_SHOWN_CHARACTERS)}`,
      hint: 'Run `pipit lint` in the repository.',
      recovery: 'stop',
    });

const broken = (commit: Commit): PluginError =>
  new PluginError({
    code: 'REPOSITORY_FILE_BROKE_PARSER',
    message: `${REPOSITORY_FILE} of commit ${commit.sha.slice(0, 7)} takes too much time or memory to parse; it is not parsed again`,
    hint: 'Write it plainly, and push.',
    recovery: 'stop',
  });

/**
 * Reads what a repository's file says. Each file is parsed once, by a parser with limits: its facts, or why there are none, are kept by its
 * content. One that broke its parser is never parsed again, after a restart neither.
 */
export const createFactsReader = ({ parseYaml, readBlob }: FactsReaderOptions) => {
  const kept = new Map<string, Kept>();

  const parse = async ({ mirror, commit, app, entry }: FactsQuery, signal: AbortSignal): Promise<Kept> => {
    if (entry !== undefined && (entry.type !== 'blob' || entry.isLink))
      return { refused: invalid('it is a link or a folder, and not a file') };
    if (entry !== undefined && entry.size > MAX_STRANGERS_YAML_BYTES)
      return { refused: invalid(`it has ${entry.size} bytes; at most ${MAX_STRANGERS_YAML_BYTES} are read`) };
    const mark = entry === undefined ? undefined : createParseMark(mirror, entry.object);
    if ((await mark?.begin()) === false) return { refused: broken };
    let brokeParser = false;
    try {
      const text = entry === undefined ? '' : await readBlob(mirror, entry, signal);
      const parsed = await parseRepositoryFile(text, {
        file: REPOSITORY_FILE,
        app,
        parse: parseYaml,
        owner: commit.repository.url,
        signal,
      });
      if (parsed.ok) return { facts: parsed.facts };
      brokeParser = parsed.brokeParser;
      if (brokeParser) return { refused: broken };
      return { refused: invalid(parsed.problems.map((each) => `line ${each.line}: ${each.message}`).join('; ')) };
    } finally {
      await (brokeParser ? mark?.giveUp() : mark?.end());
    }
  };

  return {
    read: async (query: FactsQuery, signal: AbortSignal): Promise<RepositoryFacts> => {
      const { commit, app, entry } = query;
      const key = JSON.stringify([commit.repository.url, app, entry?.object]);
      const found = kept.get(key) ?? (await parse(query, signal));
      // The one that was needed last is the last to go.
      kept.delete(key);
      kept.set(key, found);
      for (const oldest of kept.keys()) if (kept.size > MAX_KEPT) kept.delete(oldest);
      if ('refused' in found) throw found.refused(commit);
      return found.facts;
    },
  };
};
