import { didYouMean } from './closest-name.js';
import type { ConfigPath } from './config-path.js';
import type { ProblemText } from './config-problem.js';
import { isMapping, type JsonSchema, keysAt } from './schema-shape.js';

/** An issue of any Standard Schema, with the fields that zod adds. Each is looked at before it is used: the library may be another. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly unknown[] | undefined;
  readonly code?: unknown;
  readonly keys?: unknown;
  readonly expected?: unknown;
  readonly values?: unknown;
  readonly options?: unknown;
  readonly errors?: unknown;
  readonly issues?: unknown;
  readonly params?: unknown;
}

/** What an issue says, and where: at a key, or at a value. */
export interface Finding extends ProblemText {
  readonly path: ConfigPath;
  readonly at: 'key' | 'value';
  /** The schema's own words, which might quote the value. */
  readonly isForeign: boolean;
}

const WORDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  null: 'nothing',
  undefined: 'nothing',
};

const word = (type: unknown): string => (typeof type === 'string' ? (WORDS[type] ?? type) : 'another value');

const typeOf = (value: unknown): string => {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
};

const pathOf = (issue: SchemaIssue): ConfigPath =>
  (issue.path ?? []).map((segment) => {
    const key = isMapping(segment) ? segment.key : segment;
    return typeof key === 'number' ? key : String(key);
  });

const valueAt = (value: unknown, path: ConfigPath): unknown =>
  path.reduce<unknown>((current, part) => {
    if (Array.isArray(current)) return typeof part === 'number' ? current[part] : current[Number(part)];
    return isMapping(current) && Object.hasOwn(current, part) ? current[part] : undefined;
  }, value);

const quoted = (values: readonly unknown[]): string => values.map((value) => JSON.stringify(value)).join(', ');
const isIssue = (value: unknown): value is SchemaIssue => isMapping(value) && typeof value.message === 'string';

/** The issues of the alternative that was most likely meant: one whose outer type fits, with the fewest issues. */
const unionIssues = (issue: SchemaIssue): readonly SchemaIssue[] | undefined => {
  if (issue.code !== 'invalid_union' || !Array.isArray(issue.errors)) return undefined;
  const branches = issue.errors.map((branch: unknown) => (Array.isArray(branch) ? branch.filter(isIssue) : []));
  const fits = branches.filter(
    (branch) => branch.length > 0 && !branch.some((inner) => pathOf(inner).length === 0 && inner.code === 'invalid_type'),
  );
  const [best] = fits.sort((a, b) => a.length - b.length);
  return best?.map((inner) => ({ ...inner, path: [...(issue.path ?? []), ...(inner.path ?? [])] }));
};

/** What each alternative of a union would take, when none fits. */
const unionExpectation = (issue: SchemaIssue): string => {
  if (Array.isArray(issue.options) && issue.options.length > 0) return `one of ${quoted(issue.options)}`;
  const branches: readonly unknown[] = Array.isArray(issue.errors) ? issue.errors : [];
  const expected = branches.flatMap((branch) => (Array.isArray(branch) && isIssue(branch[0]) ? [word(branch[0].expected)] : []));
  return [...new Set(expected)].join(' or ');
};

const missing = (path: ConfigPath, expected: string): ProblemText => ({
  code: 'MISSING_KEY',
  message: path.length === 0 ? 'A value is missing' : `Key ${JSON.stringify(path.at(-1))} is missing`,
  expected,
});

const wrongValue = (value: unknown, path: ConfigPath, expected: string): ProblemText =>
  value === undefined ? missing(path, expected) : { code: 'WRONG_TYPE', message: `This is ${word(typeOf(value))}`, expected };

export interface IssueContext {
  /** What was validated. */
  readonly value: unknown;
  /** The schema's description, for suggestions. */
  readonly shape: JsonSchema | undefined;
}

const unknownKeys = (issue: SchemaIssue, context: IssueContext): readonly Finding[] => {
  const path = pathOf(issue);
  const known = context.shape === undefined ? [] : keysAt(context.shape, path);
  return (Array.isArray(issue.keys) ? issue.keys : []).map((key: unknown) => ({
    path: [...path, String(key)],
    at: 'key',
    isForeign: false,
    code: 'UNKNOWN_KEY',
    message: `Key ${JSON.stringify(key)} is not known here`,
    hint: didYouMean(String(key), known),
  }));
};

/** Puts a schema's issue into our words; an issue with several unknown keys becomes one finding each. */
export const readIssue = (issue: SchemaIssue, context: IssueContext): readonly Finding[] => {
  const alternatives = unionIssues(issue);
  if (alternatives !== undefined) return alternatives.flatMap((inner) => readIssue(inner, context));
  const path = pathOf(issue);
  const value = valueAt(context.value, path);
  const own = (problem: ProblemText): readonly Finding[] => [{ ...problem, path, at: 'value', isForeign: false }];
  switch (issue.code) {
    case 'unrecognized_keys':
      return unknownKeys(issue, context);
    case 'invalid_type':
      return own(wrongValue(value, path, word(issue.expected)));
    case 'invalid_union': {
      const expected = unionExpectation(issue);
      if (Array.isArray(issue.options) && value !== undefined)
        return own({
          code: 'INVALID_VALUE',
          message: 'This value is not known here',
          expected,
          hint: didYouMeanValue(value, issue.options),
        });
      return own(wrongValue(value, path, expected === '' ? 'another value' : expected));
    }
    case 'invalid_value': {
      const values = Array.isArray(issue.values) ? issue.values : [];
      const expected = `${values.length > 1 ? 'one of ' : ''}${quoted(values)}`;
      if (value === undefined) return own(missing(path, expected));
      return own({ code: 'INVALID_VALUE', message: 'This value is not known here', expected, hint: didYouMeanValue(value, values) });
    }
    case 'invalid_key': {
      const inner = Array.isArray(issue.issues) ? issue.issues.find(isIssue) : undefined;
      const texts = inner === undefined ? undefined : readParams(inner);
      return [
        {
          path,
          at: 'key',
          isForeign: false,
          code: 'INVALID_VALUE',
          message: inner?.message ?? 'This key is not allowed',
          hint: texts?.hint,
        },
      ];
    }
    default: {
      if (value === undefined && path.length > 0) return own(missing(path, issue.message));
      const params = readParams(issue);
      const texts = { path, at: 'value', isForeign: true, message: capitalised(issue.message), hint: params.hint } as const;
      return [params.code === undefined ? { ...texts, code: 'INVALID_VALUE' } : { ...texts, code: params.code }];
    }
  }
};

const capitalised = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const readParams = (issue: SchemaIssue): { readonly code?: string; readonly hint?: string } => {
  const params = isMapping(issue.params) ? issue.params : {};
  return {
    ...(typeof params.code === 'string' ? { code: params.code } : {}),
    ...(typeof params.hint === 'string' ? { hint: params.hint } : {}),
  };
};

const didYouMeanValue = (value: unknown, values: readonly unknown[]): string | undefined => {
  const hint = typeof value === 'string' ? didYouMean(value, values.map(String)) : undefined;
  return hint?.startsWith('Did you') ? hint : undefined;
};
