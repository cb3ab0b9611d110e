import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LintFinding } from './finding.js';

const run = promisify(execFile);

/** `100755 <object> 0<tab>script/cibuild`, by git-ls-files(1). */
const LISTED = /^(\d{6}) [0-9a-f]+ \d\t(.+)$/;

/** What a working copy's own config could have git run. */
const NO_PROGRAMS = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null'] as const;

/** What git keeps of these paths; undefined where there is no git to ask. */
const readIndex = async (folder: string, paths: readonly string[]): Promise<ReadonlyMap<string, string> | undefined> => {
  const isRepository = await access(join(folder, '.git')).then(
    () => true,
    () => false,
  );
  if (!isRepository) return undefined;
  try {
    const { stdout } = await run('git', ['-C', folder, ...NO_PROGRAMS, 'ls-files', '--stage', '--', ...paths]);
    return new Map(
      stdout
        .split('\n')
        .map((line) => LISTED.exec(line))
        .flatMap((match) => (match?.[1] === undefined || match[2] === undefined ? [] : [[match[2], match[1]] as const])),
    );
  } catch {
    // Without a git that can read it, the working copy is all there is to look at.
    return undefined;
  }
};

/** What is pushed is what git keeps: a script that is executable only in the working copy fails in CI. Scripts that are not there are skipped. */
export const lintGitModes = async (folder: string, scripts: readonly string[]): Promise<readonly LintFinding[]> => {
  const index = await readIndex(folder, scripts);
  if (index === undefined) return [];
  return scripts.flatMap((script): readonly LintFinding[] => {
    const mode = index.get(script);
    if (mode === undefined)
      return [
        {
          rule: 'script-not-added',
          level: 'warning',
          where: script,
          what: 'Git does not have it yet, so a push does not bring it',
          hint: `git add ${script}`,
        },
      ];
    if (mode !== '100755')
      return [
        {
          rule: 'script-not-executable-in-git',
          level: 'error',
          where: script,
          what: 'Git keeps it as not executable',
          hint: `git update-index --chmod=+x ${script}`,
        },
      ];
    return [];
  });
};
