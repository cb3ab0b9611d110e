/** The commit's time in a version that pipit made. Source: @pipit/core packageVersion. */
const COMMIT_TIME = /-(\d{14})\.[0-9a-f]{7}(?:\+r\d+)?$/;

const compare = (one: string, other: string): number => {
  const [a, b] = [COMMIT_TIME.exec(one)?.[1], COMMIT_TIME.exec(other)?.[1]];
  if (a !== undefined && b !== undefined && a !== b) return a < b ? -1 : 1;
  return one.localeCompare(other, 'en', { numeric: true });
};

export interface OldestVersionsRequest {
  readonly versions: readonly string[];
  readonly keep: number;
  /** Never named, whatever their age. */
  readonly protect: ReadonlySet<string>;
}

/**
 * The versions of one package that are beyond the limit: those of the oldest commits. aptly keeps no time of its own, so a version's time is
 * that of its commit, which pipit writes into it; others are compared by their numbers.
 */
export const oldestVersions = ({ versions, keep, protect }: OldestVersionsRequest): readonly string[] => {
  const sorted = [...new Set(versions)].sort(compare);
  return sorted.slice(0, Math.max(0, sorted.length - keep)).filter((version) => !protect.has(version));
};
