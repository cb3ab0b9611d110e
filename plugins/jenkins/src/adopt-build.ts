import { type BuiltCommit, builtCommit, type WantedCommit } from './built-commit.js';
import type { Build } from './jenkins-answers.js';

export interface Adoption {
  /** When pipit began to look, in milliseconds since 1970. */
  readonly since: number;
  /** A person tries again: a build that failed before they did is what they want to get past. */
  readonly again: boolean;
  /** Milliseconds. */
  readonly withinMs: number;
}

const names = (built: BuiltCommit, { commit }: WantedCommit): boolean => 'commit' in built && built.commit === commit;

const isPast = ({ building, result, timestamp, duration }: Build, since: number): boolean =>
  !building && result !== 'SUCCESS' && timestamp + duration < since;

/**
 * The build that the job's own hook began for the commit: the newest that names it. Builds of before count too, because the hook may be quicker
 * than pipit; those that began after the waiting was over do not, so that the answer stays what it was.
 */
export const adoptableBuild = (builds: readonly Build[], wanted: WantedCommit, { since, again, withinMs }: Adoption): Build | undefined =>
  builds.find(
    (build) => names(builtCommit(build, wanted), wanted) && build.timestamp <= since + withinMs && !(again && isPast(build, since)),
  );
