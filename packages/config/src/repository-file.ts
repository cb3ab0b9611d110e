import { type AppName, type HealthCheck, type PackageMetadata, parseUnitName, type RoleName } from '@pipit/core';
import * as z from 'zod';
import { buildHealth } from './build-config.js';
import { type ConfigProblem, orderProblems } from './config-problem.js';
import { health, parsed, role } from './core-schema.js';
import { createProblemReport } from './problem-report.js';
import { describeSchema } from './schema-shape.js';
import { type ParseStrangersYaml, treeOf } from './strangers-yaml.js';
import { reportIssues } from './validate-section.js';

/** Longer than any path or dependency. */
const MAX_LINE_CHARACTERS = 4096;
/** Longer than any list that a package manager would take. */
const MAX_ENTRIES = 1000;
/** More problems help nobody, and each is looked up. */
const MAX_PROBLEMS = 20;

const line = () =>
  z
    .string()
    .min(1, 'Must not be empty')
    .max(MAX_LINE_CHARACTERS, `At most ${MAX_LINE_CHARACTERS} characters`)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
    .regex(/^[^\x00-\x1f\x7f]*$/, 'Must be one line, without control characters');
const absolutePath = () => line().regex(/^\/(?!.*(?:^|\/)\.\.(?:\/|$))\S*$/, 'Expected an absolute path without ".." and spaces');

/** What a repository's `pipit.yaml` may say. It can never choose hosts, rings, gates or approvals: those keys are unknown here. */
export const repositoryFileSchema = z.strictObject({
  version: z.string().min(1).max(100).optional().describe('The version before the commit time, for example 1.4.0. Default: 0.0.0.'),
  description: line().max(200).optional().describe("The package's description. Default: the app's name."),
  depends: z
    .array(line())
    .max(MAX_ENTRIES)
    .default([])
    .describe("Packages it needs, in the package manager's words, for example libc6 (>= 2.36)."),
  architectures: z
    .array(line().regex(/^[a-z0-9][a-z0-9-]*$/, 'Expected an architecture such as all or amd64'))
    .min(1)
    .max(MAX_ENTRIES)
    .default(['all'])
    .describe('Default: all.'),
  prefix: absolutePath().optional().describe('Where its files go. Default: /opt/<app>.'),
  configFiles: z
    .array(absolutePath())
    .max(MAX_ENTRIES)
    .default([])
    .describe('Files that the package manager keeps when the administrator changed them.'),
  services: z
    .array(parsed('service name', parseUnitName))
    .max(MAX_ENTRIES)
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
  | {
      readonly ok: false;
      readonly problems: readonly ConfigProblem[];
      /** The parser was ended, because the file took too much time or memory. It would again. */
      readonly brokeParser: boolean;
    };

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

export interface RepositoryFileOptions {
  /** Its path, for the problems. */
  readonly file: string;
  readonly app: AppName;
  readonly parse: ParseStrangersYaml;
  /** Whose file it is: the files of one owner wait for each other, and nobody else's for them. */
  readonly owner: string;
  readonly signal: AbortSignal;
}

/**
 * Reads a repository's `pipit.yaml`; an empty or missing one gives the conventions. All problems at once, each with its place.
 * The text is a stranger's: {@link RepositoryFileOptions.parse} has its limits.
 */
export const parseRepositoryFile = async (text: string, options: RepositoryFileOptions): Promise<ParsedRepositoryFile> => {
  const { file, app, parse, owner, signal } = options;
  const parsedText = await parse(text, { owner, signal });
  const tree = treeOf(parsedText);
  const report = createProblemReport({ file, text, entries: tree.entries });
  for (const problem of tree.problems) report.addAtOffset(problem.offset, problem.path, problem);
  const fail = (): ParsedRepositoryFile => {
    return { ok: false, problems: orderProblems(report.problems).slice(0, MAX_PROBLEMS), brokeParser: parsedText.brokeParser };
  };
  const value = tree.source ?? {};
  const result = repositoryFileSchema.safeParse(value);
  if (!result.success) {
    const section = { path: [], value, tree, report };
    reportIssues(result.error.issues.slice(0, MAX_PROBLEMS), section, describeSchema(repositoryFileSchema), false);
  }
  return !result.success || report.problems.length > 0 ? fail() : { ok: true, facts: factsOf(result.data, app) };
};
