/** One thing that is wrong with a config file, and where. It never holds a secret. */
export interface ConfigProblem {
  /** As it was given to {@link loadConfig}. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** For example `pipelines.web.ci`; empty for the whole file. */
  readonly path: string;
  /** Stable and upper case; documented in docs/reference/errors/config.md. */
  readonly code: string;
  /** The fact, in one sentence. */
  readonly message: string;
  /** What would have been right. */
  readonly expected?: string;
  /** What to do. */
  readonly hint?: string;
  /** The line of the file and a caret under the place; values that may be secrets are shown as `***`. */
  readonly frame?: string;
}

export type ProblemText = Pick<ConfigProblem, 'code' | 'message'> & {
  readonly expected?: string | undefined;
  readonly hint?: string | undefined;
};

/** In the order of the file, each one once. */
export const orderProblems = (problems: readonly ConfigProblem[]): readonly ConfigProblem[] => {
  const seen = new Set<string>();
  return [...problems]
    .sort((a, b) => a.line - b.line || a.column - b.column)
    .filter((problem) => {
      const key = JSON.stringify([problem.line, problem.column, problem.path, problem.code, problem.message]);
      return seen.has(key) ? false : seen.add(key) !== undefined;
    });
};
