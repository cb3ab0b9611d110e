import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type HealthFinding, isPluginError, type Shell } from '@pipit/core';
import { minimalEnvironment } from '../command/minimal-environment.js';
import { runCommand } from '../command/run-command.js';
import { type PublishedTree, treeOverHttp } from './published-tree.js';
import { readSuite } from './read-suite.js';

export interface CheckSuitesRequest {
  /** Where hosts reach the repository: `http:`, `https:` or `file:`. */
  readonly url: string;
  readonly suites: readonly string[];
  /** Default `main`. */
  readonly component?: string;
  /** Armoured; none are known before the first publish. */
  readonly keys: readonly string[];
  readonly signal: AbortSignal;
}

const treeOnThisMachine = (folder: string): PublishedTree => ({
  place: folder,
  read: (path) =>
    readFile(join(folder, path)).catch((thrown: unknown) => {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
      throw thrown;
    }),
});

/** As much of a shell as reading a suite needs, in a folder of this machine. */
const plainShell = (folder: string, signal: AbortSignal): Pick<Shell, 'folder' | 'run' | 'write'> => ({
  folder,
  run: (argv) => runCommand(argv, { cwd: folder, env: minimalEnvironment(folder), signal }),
  write: (path, content) => writeFile(path, content),
});

const describeFailure = (thrown: unknown): Pick<HealthFinding, 'detail' | 'hint'> => ({
  detail: thrown instanceof Error ? thrown.message : String(thrown),
  ...(isPluginError(thrown) && thrown.hint !== undefined ? { hint: thrown.hint } : {}),
});

/** For `pipit doctor`: reads each suite from where hosts read it, with its signature. */
export const checkSuites = async ({ url, suites, component, keys, signal }: CheckSuitesRequest): Promise<readonly HealthFinding[]> => {
  if (suites.length === 0) return [{ name: 'published suites', ok: true, detail: 'none yet that this pipit knows' }];
  const local = url.startsWith('file:') ? fileURLToPath(new URL(url)) : undefined;
  if (local !== undefined && !existsSync(local))
    return [{ name: 'published suites', ok: true, detail: `${url} is not on this machine: its host alone can look at it` }];
  const tree = local === undefined ? treeOverHttp(url, signal) : treeOnThisMachine(local);
  const folder = await mkdtemp(join(tmpdir(), 'pipit-doctor-'));
  const findings: HealthFinding[] = [];
  try {
    for (const suite of suites) {
      const name = `suite ${suite}`;
      try {
        const shell = plainShell(folder, signal);
        const found = await readSuite({ tree, suite, keys, shell, ...(component === undefined ? {} : { component }) });
        if (found.state === 'readable') findings.push({ name, ok: true, detail: `signed; ${found.packages.length} packages` });
        else if (found.state === 'missing')
          findings.push({ name, ok: false, detail: `not at ${url}`, hint: 'Look at the web server and at the published folder.' });
        else
          findings.push({
            name,
            ok: false,
            detail: `hosts refuse its signature: ${found.raw}`,
            hint: 'Somebody changed InRelease or signed with another key: find out who, then publish the suite again.',
          });
      } catch (thrown) {
        findings.push({ name, ok: false, ...describeFailure(thrown) });
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return findings;
};
