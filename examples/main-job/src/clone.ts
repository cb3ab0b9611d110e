import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

export interface Pushed {
  readonly sha: string;
  /** What the developer's terminal shows. */
  readonly output: string;
}

export interface Developer {
  /** Changes a file of the clone. */
  change(file: string, change: (text: string) => string): Promise<void>;
  /** Changes a file, commits everything and pushes, with the real git. */
  push(message: string, file: string, change: (text: string) => string): Promise<Pushed>;
  pushFirst(): Promise<Pushed>;
}

const IDENTITY = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
};

/** A developer with a clone of a sample application, who pushes its branch main to a remote. Nothing is pushed yet. */
export const cloneSampleApp = async (options: {
  readonly sampleApp: string;
  readonly clone: string;
  readonly remote: string;
}): Promise<Developer> => {
  const { sampleApp, clone, remote } = options;
  const git = async (...argv: string[]): Promise<string> => {
    const { all } = await execa('git', ['-C', clone, ...argv], {
      all: true,
      env: { ...IDENTITY, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
    });
    return all;
  };
  await cp(sampleApp, clone, { recursive: true });
  await execa('git', ['init', '--quiet', '--initial-branch=main', clone]);
  await git('remote', 'add', 'origin', remote);

  const commitAndPush = async (message: string): Promise<Pushed> => {
    await git('add', '--all');
    await git('commit', '--quiet', '--message', message);
    const output = await git('push', 'origin', 'main');
    return { sha: await git('rev-parse', 'HEAD'), output };
  };
  const change = async (file: string, edit: (text: string) => string): Promise<void> => {
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
