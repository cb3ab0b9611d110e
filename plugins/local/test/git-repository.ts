import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CommitSha, parseCommitSha } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';

const who = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
};

export const git = async (cwd: string, ...argv: readonly string[]): Promise<string> => {
  const { exitCode, stdout, stderr } = await runCommand(['git', ...argv], { cwd, env: { ...minimalEnvironment(cwd), ...who } });
  if (exitCode !== 0) throw new Error(`git ${argv.join(' ')}: ${stderr}`);
  // What the remote's hooks say comes on standard error.
  return argv[0] === 'push' ? stderr : stdout.trim();
};

/** A bare repository and a clone from which real pushes come. */
export const createGitRepository = async (folder: string) => {
  const bare = join(folder, 'web.git');
  const clone = join(folder, 'clone');
  await mkdir(clone, { recursive: true });
  await git(folder, 'init', '--quiet', '--bare', '--initial-branch=main', bare);
  await git(clone, 'init', '--quiet', '--initial-branch=main');
  await git(clone, 'remote', 'add', 'origin', bare);
  let count = 0;
  return {
    bare,
    clone,
    async commit(): Promise<CommitSha> {
      count += 1;
      await writeFile(join(clone, 'file'), `${count}\n`);
      await git(clone, 'add', '--all');
      await git(clone, 'commit', '--quiet', '--message', `Change ${count}`);
      return parseCommitSha(await git(clone, 'rev-parse', 'HEAD'));
    },
    push: (...argv: readonly string[]) => git(clone, 'push', 'origin', ...argv),
  };
};
