import type { Schema } from '@pipit/core';
import { type ConfigPath, isWithin, pathKey } from './config-path.js';
import type { ProblemReport } from './problem-report.js';
import { createRedaction } from './redact-problem.js';
import { type Finding, readIssue, type SchemaIssue } from './schema-issue.js';
import { describeSchema, type JsonSchema } from './schema-shape.js';
import type { SourceTree } from './source-tree.js';

/** A message that quotes a shorter text gives nothing away. */
const MIN_QUOTED_LENGTH = 4;

/** One stretch of the config that a schema checks. */
export interface Section {
  readonly path: ConfigPath;
  readonly value: unknown;
  readonly tree: SourceTree;
  readonly report: ProblemReport;
  /** Added to each problem that has no hint. */
  readonly hint?: string;
}

const isUnresolved = (tree: SourceTree, path: ConfigPath): boolean => tree.entries.get(pathKey(path))?.origin === 'unresolved';

const holdsUnresolved = (tree: SourceTree, path: ConfigPath): boolean =>
  [...tree.entries.values()].some((entry) => entry.origin === 'unresolved' && isWithin(entry.path, path));

/** Texts that stand at or under a path: a schema's own message may quote them, and pipit cannot know which of them are secret. */
const literalsWithin = (tree: SourceTree, path: ConfigPath): readonly string[] =>
  [...tree.entries.values()].flatMap(({ literal, path: at }) =>
    typeof literal === 'string' && literal.length >= MIN_QUOTED_LENGTH && isWithin(at, path) ? [literal] : [],
  );

/** Says each issue of a schema at its place. What follows only from a reference that could not be resolved is left out. */
export const reportIssues = (issues: readonly SchemaIssue[], section: Section, shape: JsonSchema | undefined, isPlugin: boolean): void => {
  const { tree, report } = section;
  const say = (finding: Finding): void => {
    const path = [...section.path, ...finding.path];
    if (isUnresolved(tree, path)) return;
    if (finding.isForeign && holdsUnresolved(tree, path)) return;
    const hide = isPlugin && finding.isForeign ? createRedaction(literalsWithin(tree, path)) : (text: string) => text;
    const problem = {
      code: finding.code,
      message: hide(finding.message),
      expected: finding.expected === undefined ? undefined : hide(finding.expected),
      hint: finding.hint ?? section.hint,
    };
    if (finding.at === 'key') report.addAtKey(path, problem);
    else report.add(path, problem);
  };
  for (const issue of issues) for (const finding of readIssue(issue, { value: section.value, shape })) say(finding);
};

/** Validates with a plugin's own schema; undefined when that failed, which the report then says. */
export const validateSection = async (schema: Schema<unknown>, section: Section): Promise<{ readonly output: unknown } | undefined> => {
  let result: Awaited<ReturnType<Schema<unknown>['~standard']['validate']>>;
  try {
    result = await schema['~standard'].validate(section.value);
  } catch (error) {
    section.report.add(section.path, {
      code: 'PLUGIN_SCHEMA_FAILED',
      message: `The plugin's schema threw ${error instanceof Error ? error.name : 'something'} instead of naming what is wrong`,
      hint: "Tell the plugin's author.",
    });
    return undefined;
  }
  if (result.issues === undefined) return { output: result.value };
  reportIssues(result.issues, section, describeSchema(schema), true);
  return undefined;
};
