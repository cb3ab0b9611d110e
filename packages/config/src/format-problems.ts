import type { ConfigProblem } from './config-problem.js';

// A key or a plugin's message may hold terminal escapes; they are shown and not obeyed.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it replaces
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

const indented = (text: string): string => text.replaceAll('\n', '\n    ');

const formatProblem = (problem: ConfigProblem): string => {
  const at = `${problem.file}:${problem.line}:${problem.column}`;
  const lines = [`${at} ${problem.path === '' ? '' : `${problem.path}: `}${problem.message}  [${problem.code}]`];
  if (problem.frame !== undefined) lines.push(`    ${indented(problem.frame)}`);
  if (problem.expected !== undefined) lines.push(`    expected: ${indented(problem.expected)}`);
  if (problem.hint !== undefined) lines.push(`    hint: ${indented(problem.hint)}`);
  return lines.join('\n').replace(CONTROL, '\uFFFD');
};

/** Problems as text for a terminal: place, what, the line of the file, what was expected, what to do. No colours. */
export const formatProblems = (problems: readonly ConfigProblem[]): string => problems.map(formatProblem).join('\n\n');
