import { chmod, cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderPostReceiveHook } from '@pipit/plugin-local';
import { execa } from 'execa';
import type { Installation } from './installation.js';

const SAMPLE_APP = fileURLToPath(new URL('../sample-app', import.meta.url));

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

/** A developer with a clone of the sample application, and the bare repository whose hook tells pipit of each push. */
export const createDeveloper = async (installation: Installation, hookUrl: string): Promise<Developer> => {
  const { repository, clone, secretFile } = installation;
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
  await execa('git', ['init', '--quiet', '--bare', '--initial-branch=main', repository]);
  const hook = join(repository, 'hooks', 'post-receive');
  await writeFile(hook, renderPostReceiveHook({ url: hookUrl, secretFile, repository: 'shop', nodePath: process.execPath }));
  await chmod(hook, 0o755);
  await cp(SAMPLE_APP, clone, { recursive: true });
  await execa('git', ['init', '--quiet', '--initial-branch=main', clone]);
  await git('remote', 'add', 'origin', repository);

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
