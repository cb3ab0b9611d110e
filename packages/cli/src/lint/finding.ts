/** One breach of a convention in a repository. */
export interface LintFinding {
  /** Stable, for example `script-missing`. */
  readonly rule: string;
  /** An error ends a run; a warning may surprise. */
  readonly level: 'error' | 'warning';
  /** Relative to the repository, with a line where there is one: `pipit.yaml:3:5`. */
  readonly where: string;
  /** The fact, in one sentence. */
  readonly what: string;
  /** What to do. */
  readonly hint: string;
}
