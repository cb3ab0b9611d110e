import { type ConfigPath, pathKey } from './config-path.js';
import type { ProblemReport } from './problem-report.js';
import { checkExpression } from './rule-expression.js';
import type { SourceTree } from './source-tree.js';

export interface WrittenExpression {
  readonly expression: unknown;
  readonly path: ConfigPath;
  readonly tree: SourceTree;
  readonly text: string;
  readonly report: ProblemReport;
}

/** Checks a `when:`, and points into the expression where its text stands in the file as it is (no escapes, one line). */
export const checkWrittenExpression = ({ expression, path, tree, text, report }: WrittenExpression): void => {
  if (typeof expression !== 'string' || expression === '') return;
  const problem = checkExpression(expression);
  const entry = tree.entries.get(pathKey(path));
  if (problem === undefined || entry === undefined || entry.origin === 'unresolved') return;
  const said = { code: 'RULE_INVALID', message: problem.message, expected: problem.expected, hint: problem.hint };
  const [start, end] = entry.valueAt;
  const inner = text.slice(start, end).indexOf(expression);
  if (entry.origin === 'literal' && inner >= 0) report.addAtOffset(start + inner + problem.offset, path, said);
  else report.add(path, said);
};
