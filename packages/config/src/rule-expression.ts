import { type TypeError as CelTypeError, Environment, type ParseError } from '@marcbachmann/cel-js';
import { didYouMean } from './closest-name.js';
import { createWatchedWorker } from './watched-worker.js';
import { EVALUATE_RULE_WORKER } from './worker-modules.js';

/** A push, as `when:` sees it. What a push does not have is an empty text. */
export interface RuleEvent {
  /** The repository's name, for example `acme/web`. */
  readonly repository: string;
  /** For example `refs/heads/main`. */
  readonly ref: string;
  /** For example `feature/login`; empty for a tag. */
  readonly branch: string;
  /** For example `v1.2.0`; empty for a branch. */
  readonly tag: string;
  /** Empty when the ref was deleted. */
  readonly commit: string;
  /** Empty when the ref is new, or the commit before is not known. */
  readonly before: string;
  /** Shown, never trusted: whoever pushed may choose it. */
  readonly author: string;
  readonly deleted: boolean;
}

const EVENT_FIELDS = {
  repository: 'string',
  ref: 'string',
  branch: 'string',
  tag: 'string',
  commit: 'string',
  before: 'string',
  author: 'string',
  deleted: 'bool',
} as const satisfies Record<keyof RuleEvent, string>;

const environment = new Environment({ unlistedVariablesAreDyn: false }).registerVariable({ name: 'event', schema: EVENT_FIELDS });

export interface ExpressionProblem {
  readonly message: string;
  readonly expected?: string;
  readonly hint?: string;
  /** From 0, within the expression. */
  readonly offset: number;
}

const explain = (expression: string, error: ParseError | CelTypeError): ExpressionProblem => {
  const start = error.range?.start ?? 0;
  const name = expression.slice(start, error.range?.end ?? start);
  const fields = Object.keys(EVENT_FIELDS);
  if (error.code === 'no_such_key') {
    const hint = didYouMean(name, fields);
    return {
      message: `event has no field ${JSON.stringify(name)}`,
      expected: `one of ${fields.join(', ')}`,
      offset: start,
      ...(hint ? { hint } : {}),
    };
  }
  if (error.code === 'unknown_variable')
    return {
      message: `There is no variable ${JSON.stringify(name)}`,
      hint: 'An expression sees one variable, event; a text stands in quotes.',
      offset: start,
    };
  return { message: `Not a valid CEL expression: ${error.summary}`, offset: start };
};

/** What is wrong with an expression; undefined when it is one that gives true or false. */
export const checkExpression = (expression: string): ExpressionProblem | undefined => {
  const result = environment.check(expression);
  if (!result.valid)
    return result.error === undefined ? { message: 'Not a valid CEL expression', offset: 0 } : explain(expression, result.error);
  if (result.type === 'bool') return undefined;
  return { message: `The expression gives ${result.type ?? 'something else'}`, expected: 'true or false (bool)', offset: 0 };
};

/** A regular expression's time may double with each character of what it is matched against, which anybody who may push can choose. */
const REGULAR_EXPRESSION = /\bmatches\b/;
const EVALUATION_DEADLINE_MS = 2_000;

const watched = createWatchedWorker({ module: EVALUATE_RULE_WORKER, deadlineMs: EVALUATION_DEADLINE_MS });

/**
 * An expression that {@link checkExpression} passed, as a function. It may throw, for example on a regular expression that is none, or one that
 * takes too long for this event.
 */
export const parseExpression = (expression: string): ((event: RuleEvent) => Promise<boolean>) => {
  const evaluate = environment.parse(expression);
  if (!REGULAR_EXPRESSION.test(expression)) return async (event) => evaluate({ event }) === true;
  return async (event) => {
    const task = { owner: event.repository, signal: new AbortController().signal };
    const result = await watched.run<{ readonly matches: boolean } | { readonly failure: string }>(
      { expression, fields: EVENT_FIELDS, event },
      task,
    );
    if ('broke' in result) throw new Error(`it takes more than ${EVALUATION_DEADLINE_MS} ms for this event`);
    if ('failure' in result.output) throw new Error(result.output.failure);
    return result.output.matches;
  };
};
