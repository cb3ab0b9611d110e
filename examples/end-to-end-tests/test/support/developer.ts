import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { renderPostReceiveHook } from '@pipit/plugin-local';
import { execa } from 'execa';

/** Files of a repository by path; what begins with `#!` is executable. */
export type RepositoryFiles = Readonly<Record<string, string | Uint8Array | { readonly linkTo: string }>>;

export interface Developer {
  /** Writes files, commits everything and pushes with the real git. Returns the commit. */
  push(files: RepositoryFiles): Promise<string>;
  /** The real git, in the clone. */
  git(...argv: string[]): Promise<string>;
}

/** A developer with a clone, and a bare repository whose real hook tells the server of each push. */
export const createDeveloper = async (options: {
  readonly repository: string;
  readonly clone: string;
  readonly app: string;
  /** None: nobody tells pipit, so it has to look. */
  readonly hook?: { readonly url: string; readonly secretFile: string };
}): Promise<Developer> => {
  const { repository, clone, app, hook } = options;
  const identity = {
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.org',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.org',
  };
  const git = async (...argv: string[]): Promise<string> => {
    const env = { ...identity, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
    return (await execa('git', ['-C', clone, ...argv], { env })).stdout;
  };
  await execa('git', ['init', '--quiet', '--bare', '--initial-branch=main', repository]);
  if (hook !== undefined) {
    const path = join(repository, 'hooks', 'post-receive');
    await writeFile(path, renderPostReceiveHook({ ...hook, repository: app, nodePath: process.execPath }));
    await chmod(path, 0o755);
  }
  await execa('git', ['init', '--quiet', '--initial-branch=main', clone]);
  await git('remote', 'add', 'origin', repository);
  return {
    git,
    push: async (files) => {
      for (const [path, content] of Object.entries(files)) {
        await mkdir(dirname(join(clone, path)), { recursive: true });
        await rm(join(clone, path), { force: true });
        if (typeof content === 'object' && 'linkTo' in content) await symlink(content.linkTo, join(clone, path));
        else await writeFile(join(clone, path), content, { mode: String(content).startsWith('#!') ? 0o755 : 0o644 });
      }
      await git('add', '--all');
      await git('commit', '--quiet', '--allow-empty', '--message', 'Change');
      await git('push', '--quiet', 'origin', 'main');
      return git('rev-parse', 'HEAD');
    },
  };
};
