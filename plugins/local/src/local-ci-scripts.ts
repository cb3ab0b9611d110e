import { realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isPluginError, SCRIPTS } from '@pipit/core';
import { readConfinedText } from '@pipit/plugin-kit';

/** In the order in which they run. */
export const CI_SCRIPTS = [SCRIPTS.ciSetup, SCRIPTS.ciBuild] as const;

export type CiScript = (typeof CI_SCRIPTS)[number];

const PROGRESS_FILE = 'script';
const MAX_PROGRESS_BYTES = 100;

/** Runs the scripts one after the other and ends with the exit code of the first that fails. `$1` is where it says which one it is at. */
export const SCRIPTS_RUNNER = [
  '/bin/sh',
  '-c',
  'progress=$1; shift; for script in "$@"; do echo "$script" > "$progress"; echo "+ $script"; "./$script" || exit; done',
  'pipit-ci',
] as const;

export const scriptsCommand = (progressFolder: string): readonly string[] => [
  ...SCRIPTS_RUNNER,
  join(progressFolder, PROGRESS_FILE),
  ...CI_SCRIPTS,
];

/** Why the scripts of a checked-out commit cannot run, as a sentence that says what to do. */
export const scriptProblem = async (source: string): Promise<string | undefined> => {
  const root = await realpath(source);
  for (const script of CI_SCRIPTS) {
    // A link to another file of the commit will do; where one leads out of it, nobody looks.
    const path = await realpath(join(source, script)).catch(() => undefined);
    if (path?.startsWith(`${root}/`) === false) return `${script} is a link that leads out of the repository: put the script itself there`;
    const found = path === undefined ? undefined : await stat(path);
    if (found?.isFile() !== true)
      return `${script} is missing: add it to the repository (it may just say: exit 0) and make it executable with chmod +x ${script}`;
    if ((found.mode & 0o111) === 0)
      return `${script} is not executable: chmod +x ${script} && git add --chmod=+x ${script}, then commit and push`;
  }
  return undefined;
};

/** Which script the build was at when it ended. The repository's code could write there, so only a known name counts. */
export const readScriptInProgress = async (progressFolder: string): Promise<CiScript> => {
  const text = await readConfinedText({ root: progressFolder, path: PROGRESS_FILE }, MAX_PROGRESS_BYTES).catch((thrown: unknown) => {
    if (isPluginError(thrown)) return undefined;
    throw thrown;
  });
  return CI_SCRIPTS.find((script) => script === text?.trim()) ?? SCRIPTS.ciSetup;
};
