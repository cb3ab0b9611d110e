import type { ConfigProblem } from './config-problem.js';

const MASK = '[secret]';
/** A shorter text is hidden only where it stands alone: hiding every `a` would leave nothing to read. */
const MIN_LENGTH_ANYWHERE = 4;

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

const patternOf = (secret: string): RegExp => {
  const source = escapeRegExp(secret);
  return secret.length >= MIN_LENGTH_ANYWHERE ? new RegExp(source, 'g') : new RegExp(`(?<![A-Za-z0-9])${source}(?![A-Za-z0-9])`, 'g');
};

/** Hides texts, also as they look inside a JSON string. Longer ones first, so that no rest of one is left. */
export const createRedaction = (secrets: Iterable<string>): ((text: string) => string) => {
  const forms = [...new Set([...secrets].flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]))].filter((form) => form !== '');
  const patterns = forms.sort((a, b) => b.length - a.length).map(patternOf);
  return (text) => patterns.reduce((shown, pattern) => shown.replace(pattern, MASK), text);
};

/** Hides secrets in what a problem says. */
export const redactProblem = (problem: ConfigProblem, redact: (text: string) => string): ConfigProblem => ({
  ...problem,
  message: redact(problem.message),
  ...(problem.expected === undefined ? {} : { expected: redact(problem.expected) }),
  ...(problem.hint === undefined ? {} : { hint: redact(problem.hint) }),
  ...(problem.frame === undefined ? {} : { frame: redact(problem.frame) }),
});
