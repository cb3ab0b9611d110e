import { readFileSync } from 'node:fs';
import { PluginError } from '@pipit/core';

export interface PostReceiveHook {
  /** Where pipit's hook address of this instance is: `Setup.hookUrl`. */
  readonly url: string;
  /** Absolute: a file that holds the secret, readable by whoever runs `git receive-pack`. */
  readonly secretFile: string;
  /** The name under which the config knows the repository. */
  readonly repository: string;
  /** Absolute: the Node that runs the hook. */
  readonly nodePath: string;
}

const SETTINGS_LINE = 'const SETTINGS = null;';

/** The same place seen from `src` and from `dist`. */
const template = (): string => readFileSync(new URL('../hooks/post-receive', import.meta.url), 'utf8');

/**
 * The text of a bare repository's `hooks/post-receive` (to be written with mode 0755). The secret itself is not in it.
 *
 * @throws PluginError `LOCAL_HOOK_NODE_PATH` (stop) for a path that cannot stand in the script's first line
 */
export const renderPostReceiveHook = ({ url, secretFile, repository, nodePath }: PostReceiveHook): string => {
  if (!/^\/[\x21-\x7e]{1,200}$/.test(nodePath))
    throw new PluginError({
      code: 'LOCAL_HOOK_NODE_PATH',
      message: `${JSON.stringify(nodePath)} cannot stand in the first line of a script`,
      hint: 'Give an absolute path without spaces, for example a link to node in /usr/local/bin.',
      recovery: 'stop',
    });
  const [, ...lines] = template().split('\n');
  // JSON is JavaScript, and a function as replacement keeps a `$` of a path as it is.
  const settings = `const SETTINGS = ${JSON.stringify({ url, secretFile, repository })};`;
  return [`#!${nodePath}`, ...lines].join('\n').replace(SETTINGS_LINE, () => settings);
};
