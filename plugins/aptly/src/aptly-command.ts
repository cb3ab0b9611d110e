import type { RunResult, Shell } from '@pipit/core';
import type { Aptly, NewPublication } from './aptly.js';
import { aptlyFailure } from './aptly-failure.js';

/** aptly 1.5.0 sleeps up to ten seconds after each attempt to open a database that another process has open; pipit tries again by itself. */
const DATABASE_OPEN_ATTEMPTS = 1;

export interface AptlyCommandOptions {
  readonly shell: Shell;
  /** The config file, absolute. */
  readonly configPath: string;
  readonly repo: string;
  /** The fingerprint that signs. */
  readonly signWith: string;
  /** GNUPGHOME. */
  readonly gnupgHome?: string;
}

/** aptly over its command line, wherever the shell is. */
export const createAptlyCommand = ({ shell, configPath, repo, signWith, gnupgHome }: AptlyCommandOptions): Aptly => {
  const signing = ['-batch', `-gpg-key=${signWith}`];
  const indexes = ['-skip-contents', '-skip-bz2'];

  const attempt = (command: readonly string[]): Promise<RunResult> =>
    shell.run(['aptly', `-config=${configPath}`, `-db-open-attempts=${DATABASE_OPEN_ATTEMPTS}`, ...command], {
      ...(gnupgHome === undefined ? {} : { env: { GNUPGHOME: gnupgHome } }),
    });

  const failureOf = (command: readonly string[], result: RunResult) =>
    aptlyFailure(`aptly ${command.slice(0, 2).join(' ')}`, `${result.stdout}\n${result.stderr}`);

  const run = async (...command: readonly string[]): Promise<string> => {
    const result = await attempt(command);
    if (result.exitCode !== 0) throw failureOf(command, result);
    return result.stdout;
  };

  const linesOf = (text: string): readonly string[] => text.split('\n').filter((line) => line !== '');

  const firstTime = ({ distribution, architectures }: NewPublication): readonly string[] => [
    ...signing,
    ...indexes,
    '-acquire-by-hash',
    `-distribution=${distribution}`,
    `-architectures=${architectures.join(',')}`,
  ];

  const listSnapshots = async (): Promise<readonly string[]> => linesOf(await run('snapshot', 'list', '-raw'));

  return {
    async ensureRepo() {
      const names = linesOf(await run('repo', 'list', '-raw'));
      if (!names.includes(repo)) await run('repo', 'create', '-component=main', repo);
    },
    addPackage: async (path) => void (await run('repo', 'add', repo, path)),
    removePackages: async (names) => void (await run('repo', 'remove', repo, ...names)),
    async listPublications() {
      // "<prefix> <distribution>"; those under another prefix are somebody else's.
      return linesOf(await run('publish', 'list', '-raw'))
        .map((line) => line.split(' '))
        .flatMap(([prefix, distribution]) => (prefix === '.' && distribution !== undefined ? [{ distribution }] : []));
    },
    publishRepo: async (publication) => void (await run('publish', 'repo', ...firstTime(publication), repo)),
    updateRepo: async (distribution) => void (await run('publish', 'update', ...signing, ...indexes, distribution)),
    publishSnapshot: async ({ snapshot, ...publication }) => void (await run('publish', 'snapshot', ...firstTime(publication), snapshot)),
    switchSnapshot: async (distribution, snapshot) => void (await run('publish', 'switch', ...signing, ...indexes, distribution, snapshot)),
    dropPublication: async (distribution) => void (await run('publish', 'drop', distribution)),
    listSnapshots,
    async createSnapshot(snapshot, names) {
      const source = `${snapshot}.source`;
      // Of a call that was killed: nothing publishes it.
      if ((await listSnapshots()).includes(source)) await run('snapshot', 'drop', '-force', source);
      await run('snapshot', 'create', source, 'from', 'repo', repo);
      await run('snapshot', 'filter', source, snapshot, ...names);
      await run('snapshot', 'drop', '-force', source);
    },
    dropSnapshot: async (snapshot) => void (await run('snapshot', 'drop', '-force', snapshot)),
    cleanUp: async () => void (await run('db', 'cleanup')),
  };
};
