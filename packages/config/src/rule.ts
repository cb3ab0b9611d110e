import { type ChangeEvent, PluginError } from '@pipit/core';
import type { TriggerRule } from './config.js';
import { compileGlobs } from './glob-list.js';
import { checkExpression, parseExpression, type RuleEvent } from './rule-expression.js';

/** The branches that start a pipeline whose trigger names no branches, no tags and no expression. */
export const DEFAULT_BRANCHES = ['main', 'master'] as const;

/** A reason names no more patterns than this many characters hold. */
const MAX_SHOWN_CHARACTERS = 200;

export interface RuleInput {
  readonly event: RuleEvent;
  /** Asked only when the rule has `paths` and all else matched. Paths are relative to the repository's root. */
  readonly changedPaths: () => Promise<{
    readonly paths: readonly string[];
    /** There are more than were read: one of them may be meant, so they match. */
    readonly isCut: boolean;
  }>;
}

export interface RuleResult {
  readonly matches: boolean;
  /** Why, or why not, in one sentence. */
  readonly reason: string;
}

export type Rule = (input: RuleInput) => Promise<RuleResult>;

const BRANCH_PREFIX = 'refs/heads/';
const TAG_PREFIX = 'refs/tags/';

const namesOf = (ref: string): Pick<RuleEvent, 'ref' | 'branch' | 'tag'> => ({
  ref,
  branch: ref.startsWith(BRANCH_PREFIX) ? ref.slice(BRANCH_PREFIX.length) : '',
  tag: ref.startsWith(TAG_PREFIX) ? ref.slice(TAG_PREFIX.length) : '',
});

/** A change event as a rule sees it. */
export const ruleEventOf = (event: ChangeEvent): RuleEvent => ({
  repository: event.repository.name,
  ...namesOf(event.ref),
  commit: event.sha ?? '',
  before: event.before ?? '',
  author: event.author ?? '',
  deleted: event.sha === null,
});

const shown = (patterns: readonly string[]): string => {
  const text = patterns.join(', ');
  return text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}…` : text;
};

interface RefRule {
  readonly type: 'branch' | 'tag';
  readonly patterns: readonly string[];
  readonly matches: (name: string) => boolean;
}

const refRules = (rule: TriggerRule): readonly RefRule[] => {
  const isOpen = rule.branches === undefined && rule.tags === undefined && rule.when === undefined;
  const branches = isOpen ? DEFAULT_BRANCHES : rule.branches;
  return [
    ...(branches === undefined ? [] : [{ type: 'branch' as const, patterns: branches, matches: compileGlobs(branches) }]),
    ...(rule.tags === undefined ? [] : [{ type: 'tag' as const, patterns: rule.tags, matches: compileGlobs(rule.tags) }]),
  ];
};

const judgeRef = (rules: readonly RefRule[], event: Pick<RuleEvent, 'ref' | 'branch' | 'tag'>): RuleResult => {
  const type = event.branch !== '' ? 'branch' : event.tag !== '' ? 'tag' : undefined;
  const name = type === 'branch' ? event.branch : event.tag;
  if (rules.length === 0) return { matches: true, reason: `${event.ref} was pushed` };
  const rule = rules.find((candidate) => candidate.type === type);
  if (type === undefined) return { matches: false, reason: `${event.ref} is neither a branch nor a tag` };
  if (rule === undefined)
    return { matches: false, reason: `${name} is a ${type}, and the trigger lists no ${type === 'tag' ? 'tags' : 'branches'}` };
  const isListed = rule.matches(name);
  return { matches: isListed, reason: `${type} ${name} is ${isListed ? '' : 'not '}among ${shown(rule.patterns)}` };
};

/** Whether a trigger's `branches` and `tags` let a ref in; what `when` and `paths` say is a matter of each event. */
export const takesRef = (trigger: TriggerRule, ref: string): boolean => judgeRef(refRules(trigger), namesOf(ref)).matches;

const judgeExpression = async (
  expression: string,
  evaluate: (event: RuleEvent) => Promise<boolean>,
  event: RuleEvent,
): Promise<RuleResult> => {
  try {
    const matches = await evaluate(event);
    return { matches, reason: `when: ${shown([expression])} is ${matches}` };
  } catch (error) {
    const detail = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return { matches: false, reason: `when: ${shown([expression])} could not be evaluated: ${detail}` };
  }
};

/**
 * A trigger's rule as a predicate that says why. All of what the trigger names must match: the ref (`branches` or `tags`), `when`, and `paths`.
 * A trigger that names no branches, no tags and no `when` takes the branches `main` and `master`. A deleted ref never matches: there is nothing to build.
 *
 * @throws PluginError `RULE_INVALID` (stop) when `when` is no valid expression; {@link loadConfig} has reported it before
 */
export const compileRule = (trigger: TriggerRule): Rule => {
  const problem = trigger.when === undefined ? undefined : checkExpression(trigger.when);
  if (problem !== undefined)
    throw new PluginError({
      code: 'RULE_INVALID',
      message: problem.message,
      recovery: 'stop',
      ...(problem.hint ? { hint: problem.hint } : {}),
    });
  const refs = refRules(trigger);
  const { when, paths } = trigger;
  const evaluate = when === undefined ? undefined : parseExpression(when);
  const matchesPath = paths === undefined ? undefined : compileGlobs(paths);

  return async ({ event, changedPaths }) => {
    if (event.deleted) return { matches: false, reason: `${event.ref} was deleted` };
    const ref = judgeRef(refs, event);
    if (!ref.matches) return ref;
    const expression = when === undefined || evaluate === undefined ? undefined : await judgeExpression(when, evaluate, event);
    if (expression?.matches === false) return expression;
    const reason = [...(refs.length === 0 && expression ? [] : [ref.reason]), ...(expression ? [expression.reason] : [])].join('; ');
    if (paths === undefined || matchesPath === undefined) return { matches: true, reason };
    const { paths: changed, isCut } = await changedPaths();
    const first = changed.find(matchesPath);
    if (first === undefined && isCut)
      return { matches: true, reason: `${reason}; more paths changed than are read, so ${shown(paths)} matches` };
    if (first === undefined) return { matches: false, reason: `none of the ${changed.length} changed paths is among ${shown(paths)}` };
    return { matches: true, reason: `${reason}; ${first} is among ${shown(paths)}` };
  };
};
