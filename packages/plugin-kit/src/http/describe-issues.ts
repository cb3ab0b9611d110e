interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** What somebody else wrote may have an issue for each of its values, with names of any length. */
const MAX_ISSUES = 5;
const MAX_LENGTH = 1_000;

/** What a schema found wrong with an answer, short enough for a message: `0.name: expected a text; ...`. */
export const describeIssues = ({ issues }: { readonly issues: readonly Issue[] }): string =>
  issues
    .slice(0, MAX_ISSUES)
    .map(({ path, message }) => `${path.length === 0 ? 'the value' : path.map(String).join('.')}: ${message}`)
    .join('; ')
    .slice(0, MAX_LENGTH);
