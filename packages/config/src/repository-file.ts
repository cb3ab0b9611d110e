import { type AppName, type HealthCheck, type PackageMetadata, parseUnitName, type RoleName } from '@pipit/core';
import * as z from 'zod';
import { buildHealth } from './build-config.js';
import { type ConfigProblem, orderProblems } from './config-problem.js';
import { health, parsed, role } from './core-schema.js';
import { parseYaml } from './parse-yaml.js';
import { createProblemReport } from './problem-report.js';
import { describeSchema } from './schema-shape.js';
import { readSourceTree } from './source-tree.js';
import { reportIssues } from './validate-section.js';

const line = () =>
  z
    .string()
    .min(1, 'Must not be empty')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
    .regex(/^[^\x00-\x1f\x7f]*$/, 'Must be one line, without control characters');
const absolutePath = () => line().regex(/^\/(?!.*(?:^|\/)\.\.(?:\/|$))\S*$/, 'Expected an absolute path without ".." and spaces');

/** What a repository's `pipit.yaml` may say. It can never choose hosts, rings, gates or approvals: those keys are unknown here. */
export const repositoryFileSchema = z.strictObject({
  version: z.string().min(1).max(100).optional().describe('The version before the commit time, for example 1.4.0. Default: 0.0.0.'),
  description: line().max(200).optional().describe("The package's description. Default: the app's name."),
  depends: z.array(line()).default([]).describe("Packages it needs, in the package manager's words, for example libc6 (>= 2.36)."),
  architectures: z
    .array(line().regex(/^[a-z0-9][a-z0-9-]*$/, 'Expected an architecture such as all or amd64'))
    .min(1)
    .default(['all'])
    .describe('Default: all.'),
  prefix: absolutePath().optional().describe('Where its files go. Default: /opt/<app>.'),
  configFiles: z.array(absolutePath()).default([]).describe('Files that the package manager keeps when the administrator changed them.'),
  services: z
    .array(parsed('service name', parseUnitName))
    .default([])
    .describe('systemd units to restart after an install; their files stand in systemd/.'),
  role: role().optional().describe('Which part of the hosts. Default: the pipeline’s.'),
  health: health.optional(),
});

export interface RepositoryFileFacts {
  readonly metadata: PackageMetadata;
  readonly baseVersion: string | undefined;
  readonly role: RoleName | undefined;
  readonly health: HealthCheck | undefined;
}

export type ParsedRepositoryFile =
  | { readonly ok: true; readonly facts: RepositoryFileFacts }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

const factsOf = (file: z.output<typeof repositoryFileSchema>, app: AppName): RepositoryFileFacts => ({
  metadata: {
    description: file.description ?? app,
    depends: file.depends,
    architectures: file.architectures,
    prefix: file.prefix ?? `/opt/${app}`,
    configFiles: file.configFiles,
    services: file.services,
  },
  baseVersion: file.version,
  role: file.role,
  health: file.health === undefined ? undefined : buildHealth(file.health),
});

/** Reads a repository's `pipit.yaml`; an empty or missing one gives the conventions. All problems at once, each with its place. */
export const parseRepositoryFile = (
  text: string,
  { file, app }: { readonly file: string; readonly app: AppName },
): ParsedRepositoryFile => {
  const parsedText = parseYaml(file, text);
  if ('problems' in parsedText) return { ok: false, problems: orderProblems(parsedText.problems) };
  const tree = readSourceTree(parsedText.document);
  const report = createProblemReport({ file, text, entries: tree.entries });
  for (const problem of tree.problems) report.addAtOffset(problem.offset, problem.path, problem);
  for (const reference of tree.references)
    report.add(reference.entry.path, {
      code: 'REFERENCE_NOT_ALLOWED',
      message: 'A repository’s file cannot refer to environment variables or files of the machine',
      hint: 'Write the value itself.',
    });
  const value = tree.source ?? {};
  const result = repositoryFileSchema.safeParse(value);
  if (!result.success) reportIssues(result.error.issues, { path: [], value, tree, report }, describeSchema(repositoryFileSchema), false);
  if (!result.success || report.problems.length > 0) return { ok: false, problems: orderProblems(report.problems) };
  return { ok: true, facts: factsOf(result.data, app) };
};
