import { pathKey } from './config-path.js';
import type { Entry, SourceTree, TreeProblem } from './source-tree.js';
import { createWatchedWorker, type WatchedWorkerOptions } from './watched-worker.js';
import { PARSE_YAML_WORKER } from './worker-modules.js';

/** A repository's file has some hundred bytes. */
export const MAX_STRANGERS_YAML_BYTES = 64 * 1024;

export interface StrangersYaml {
  readonly value: unknown;
  readonly entries: readonly Entry[];
  readonly problems: readonly TreeProblem[];
  /** The thread was ended: the text took too much time or memory. */
  readonly brokeParser: boolean;
}

/**
 * Parses a YAML text that anybody may have written, in a thread with a deadline: one document of plain keys, values and lists.
 * Anchors, aliases, merge keys, tags, directives, repeated keys and references are problems, and so is what is large or deep.
 *
 * @throws what the signal was aborted with, and Errors of a thread that could not be started: these may pass
 */
export type ParseStrangersYaml = (text: string, task: { readonly owner: string; readonly signal: AbortSignal }) => Promise<StrangersYaml>;

const refused = (problem: Omit<TreeProblem, 'path'>, brokeParser = false): StrangersYaml => ({
  value: null,
  entries: [],
  problems: [{ ...problem, path: [] }],
  brokeParser,
});

/** What the thread refuses besides what a config's parser does. Its words are its own. */
const WORDS_OF_THREAD = {
  feature: { code: 'YAML_NOT_ALLOWED', hint: 'Write the value itself.' },
  reference: { code: 'REFERENCE_NOT_ALLOWED', hint: 'Write the value itself.' },
} as const;

/** As the thread reports it: with a code, or a kind of {@link WORDS_OF_THREAD}. */
type ThreadProblem = TreeProblem | (Omit<TreeProblem, 'code'> & { readonly kind: keyof typeof WORDS_OF_THREAD });

interface ThreadAnswer extends Pick<StrangersYaml, 'value' | 'entries'> {
  readonly problems: readonly ThreadProblem[];
}

const problemOf = (problem: ThreadProblem): TreeProblem => {
  if (!('kind' in problem)) return problem;
  const { kind, ...rest } = problem;
  return { ...rest, ...WORDS_OF_THREAD[kind] };
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const NO_TEXT = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd\ufeff]|\p{Cs}/u;

/** What needs no parser to be refused. */
const refuseUnread = (text: string): StrangersYaml | undefined => {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_STRANGERS_YAML_BYTES)
    return refused({
      code: 'CONFIG_TOO_LARGE',
      message: `The file has ${bytes} bytes; at most ${MAX_STRANGERS_YAML_BYTES} are read`,
      offset: 0,
    });
  const offset = text.search(NO_TEXT);
  if (offset === -1) return undefined;
  return refused({ code: 'CONFIG_SYNTAX', message: 'This is no text in UTF-8, or holds a control character', offset });
};

const BROKEN = {
  time: 'The file takes too long to parse; it is not parsed again',
  memory: 'The file takes too much memory to parse; it is not parsed again',
} as const;

export const createStrangersYamlParser = (options: Partial<WatchedWorkerOptions> = {}): ParseStrangersYaml => {
  const worker = createWatchedWorker({ module: PARSE_YAML_WORKER, ...options });
  return async (given, task) => {
    // An editor may have put a mark before it.
    const text = given.startsWith('\ufeff') ? given.slice(1) : given;
    const unread = refuseUnread(text);
    if (unread !== undefined) return unread;
    if (text.trim() === '') return { value: null, entries: [], problems: [], brokeParser: false };
    const result = await worker.run<ThreadAnswer>(text, task);
    if ('broke' in result) return refused({ code: 'YAML_BROKE_PARSER', message: BROKEN[result.broke], offset: 0 }, true);
    const { value, entries, problems } = result.output;
    return { value, entries, problems: problems.map(problemOf), brokeParser: false };
  };
};

/** The same shape as a config's, for those who report where something is wrong. */
export const treeOf = ({ value, entries, problems }: StrangersYaml): SourceTree => ({
  source: value,
  resolved: { root: value },
  entries: new Map(entries.map((entry) => [pathKey(entry.path), entry])),
  references: [],
  problems,
});
