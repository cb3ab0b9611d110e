import { dirname, resolve } from 'node:path';
import type { ProblemReport } from './problem-report.js';
import type { SourceTree } from './source-tree.js';

export type ReadFile = (path: string) => Promise<string> | string;

export interface ResolveOptions {
  readonly tree: SourceTree;
  readonly file: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly readFile: ReadFile;
  readonly report: ProblemReport;
  readonly onResolved: (text: string) => void;
}

/** The error code of the system, such as ENOENT; a message could hold anything. */
export const systemCode = (error: unknown): string => {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'unknown error';
};

/** Puts the texts of `{ $env }` and `{ $file }` into the tree's resolved value; what is missing is a problem at its place. */
export const resolveReferences = async ({ tree, file, environment, readFile, report, onResolved }: ResolveOptions): Promise<void> => {
  for (const { type, target, entry, resolve: put } of tree.references) {
    let text: string | undefined;
    if (type === 'env') {
      text = Object.hasOwn(environment, target) ? environment[target] : undefined;
      if (text === undefined || text === '')
        report.add(entry.path, {
          code: 'REFERENCE_ENV_MISSING',
          message: `Environment variable ${target} is ${text === '' ? 'empty' : 'not set'}`,
          hint: `Set ${target} in the environment that pipit is started with.`,
        });
    } else {
      const path = resolve(dirname(file), target);
      try {
        // Editors and `echo` end a file with a newline that is not part of the secret.
        text = (await readFile(path)).replace(/\r?\n$/, '');
        if (text === '') report.add(entry.path, { code: 'REFERENCE_FILE_UNREADABLE', message: `File ${path} is empty` });
      } catch (error) {
        report.add(entry.path, {
          code: 'REFERENCE_FILE_UNREADABLE',
          message: `File ${path} cannot be read (${systemCode(error)})`,
          hint: "A relative path starts at the config file's folder.",
        });
      }
    }
    if (text === undefined || text === '') {
      entry.origin = 'unresolved';
      continue;
    }
    onResolved(text);
    put(text);
  }
};
