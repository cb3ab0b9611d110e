import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Developer } from 'pipit-main-job';

export type { Developer };

/** A developer with a clone of the sample application, who pushes to the lab's git server. */
export const createDeveloper = async (options: {
  readonly sampleApp: string;
  readonly clone: string;
  readonly remote: string;
}): Promise<Developer> => {
  const { sampleApp, clone, remote } = options;
  const git = async (...argv: string[]): Promise<string> => {
    const identity = {
      GIT_AUTHOR_NAME: 'Ada',
      GIT_AUTHOR_EMAIL: 'ada@example.org',
      GIT_COMMITTER_NAME: 'Ada',
      GIT_COMMITTER_EMAIL: 'ada@example.org',
    };
    const { all } = await execa('git', ['-C', clone, ...argv], {
      all: true,
      env: { ...identity, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
    });
    return all;
  };
  await cp(sampleApp, clone, { recursive: true });
  await execa('git', ['init', '--quiet', '--initial-branch=main', clone]);
  await git('remote', 'add', 'origin', remote);
  const commitAndPush = async (message: string) => {
    await git('add', '--all');
    await git('commit', '--quiet', '--allow-empty', '--message', message);
    const output = await git('push', 'origin', 'main');
    return { sha: await git('rev-parse', 'HEAD'), output };
  };
  const change: Developer['change'] = async (file, edit) => {
    const path = join(clone, file);
    const before = await readFile(path, 'utf8');
    const after = edit(before);
    if (after === before) throw new Error(`${file} did not change`);
    await writeFile(path, after);
  };
  return {
    change,
    pushFirst: () => commitAndPush('Open the shop'),
    push: async (message, file, edit) => {
      await change(file, edit);
      return commitAndPush(message);
    },
  };
};
