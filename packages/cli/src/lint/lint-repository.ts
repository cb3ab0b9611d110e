import { access, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createStrangersYamlParser, parseRepositoryFile } from '@pipit/config';
import {
  type AppName,
  appNameOf,
  isPluginError,
  isReservedPackageName,
  PluginError,
  parseAppName,
  REPOSITORY_FILE,
  REQUIRED_SCRIPTS,
  SCRIPTS,
  unitFilePath,
} from '@pipit/core';
import type { LintFinding } from './finding.js';
import { lintGitModes } from './lint-git-modes.js';
import { lintScript } from './lint-script.js';
import { readText } from './read-working-copy.js';

const SCRIPT_NAMES: readonly string[] = Object.values(SCRIPTS);
const REQUIRED: readonly string[] = REQUIRED_SCRIPTS;

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** By the folder's name; the true one is the repository's, which a working copy need not know. */
const guessApp = (folder: string): AppName => {
  try {
    return appNameOf({ id: folder, name: basename(folder), url: '' });
  } catch (error) {
    if (!isPluginError(error)) throw error;
    return parseAppName('app');
  }
};

const NOT_READABLE = 'It is not a file of this repository, or too large';

/** A warning, because the folder may be named otherwise than the repository. */
const lintName = (folder: string): readonly LintFinding[] => {
  const app = guessApp(folder);
  if (!isReservedPackageName(app)) return [];
  const what = `The package of app ${app} would have the name of one that hosts cannot do without, so pipit refuses it`;
  return [{ rule: 'app-name-reserved', level: 'warning', where: basename(folder), what, hint: 'Give the repository another name.' }];
};

const lintUnit = async (folder: string, service: string): Promise<readonly LintFinding[]> => {
  const where = unitFilePath(service);
  const found = await readText(folder, where);
  const finding = (rule: string, what: string, hint: string): LintFinding => ({ rule, level: 'error', where, what, hint });
  if (found.state === 'refused') return [finding('unit-malformed', NOT_READABLE, 'Put a plain file there.')];
  if (found.state === 'missing')
    return [
      finding(
        'unit-missing',
        `${REPOSITORY_FILE} names service ${service}, but its unit file does not exist`,
        `Write ${where}, or take ${service} out of services.`,
      ),
    ];
  const text = found.content;
  if (!/^\[Service\]\s*$/m.test(text)) return [finding('unit-malformed', 'It has no section [Service]', 'See systemd.service(5).')];
  if (!/^ExecStart=\s*\S/m.test(text))
    return [
      finding('unit-malformed', 'It has no ExecStart=, so there is nothing to start', 'Name the program that runs, by its absolute path.'),
    ];
  return [];
};

const lintRepositoryFile = async (folder: string): Promise<readonly LintFinding[]> => {
  const found = await readText(folder, REPOSITORY_FILE);
  if (found.state === 'missing') return [];
  if (found.state === 'refused')
    return [{ rule: 'repository-file', level: 'error', where: REPOSITORY_FILE, what: NOT_READABLE, hint: 'Put a plain file there.' }];
  const parsed = await parseRepositoryFile(found.content, {
    file: REPOSITORY_FILE,
    app: guessApp(folder),
    parse: createStrangersYamlParser(),
    owner: folder,
    signal: new AbortController().signal,
  });
  if (parsed.ok) return (await Promise.all(parsed.facts.metadata.services.map((service) => lintUnit(folder, service)))).flat();
  return parsed.problems.map((problem) => ({
    rule: 'repository-file',
    level: 'error',
    where: `${problem.file}:${problem.line}:${problem.column}`,
    what: `${problem.path === '' ? '' : `${problem.path}: `}${problem.message}`,
    hint:
      [problem.expected === undefined ? '' : `Expected: ${problem.expected}.`, problem.hint ?? '']
        .filter((text) => text !== '')
        .join(' ') || 'Correct it there.',
  }));
};

/**
 * Every way in which a working copy breaks the conventions of a delivered repository.
 *
 * @throws PluginError `CLI_FOLDER_NOT_FOUND` (stop)
 */
export const lintRepository = async (folder: string): Promise<readonly LintFinding[]> => {
  const isFolder = await stat(folder).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  if (!isFolder)
    throw new PluginError({
      code: 'CLI_FOLDER_NOT_FOUND',
      message: `${folder} is not a folder`,
      hint: 'Name the working copy of a repository.',
      recovery: 'stop',
    });
  const findings: LintFinding[] = [];
  const present: string[] = [];
  for (const script of SCRIPT_NAMES) {
    const found = await lintScript(folder, script, REQUIRED.includes(script));
    findings.push(...found);
    if (await exists(join(folder, script))) present.push(script);
  }
  return [...lintName(folder), ...findings, ...(await lintGitModes(folder, present)), ...(await lintRepositoryFile(folder))];
};
