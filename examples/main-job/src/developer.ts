import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderPostReceiveHook } from '@pipit/plugin-local';
import { execa } from 'execa';
import { cloneSampleApp, type Developer } from './clone.js';
import type { Installation } from './installation.js';

const SAMPLE_APP = fileURLToPath(new URL('../sample-app', import.meta.url));

/** A developer with a clone of the sample application, and the bare repository whose hook tells pipit of each push. */
export const createDeveloper = async (installation: Installation, hookUrl: string): Promise<Developer> => {
  const { repository, clone, secretFile } = installation;
  await execa('git', ['init', '--quiet', '--bare', '--initial-branch=main', repository]);
  const hook = join(repository, 'hooks', 'post-receive');
  await writeFile(hook, renderPostReceiveHook({ url: hookUrl, secretFile, repository: 'shop', nodePath: process.execPath }));
  await chmod(hook, 0o755);
  return cloneSampleApp({ sampleApp: SAMPLE_APP, clone, remote: repository });
};
