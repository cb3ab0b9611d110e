import { PluginError } from '@pipit/core';

/** What a commit has at a path. */
export interface TreeEntry {
  readonly type: 'blob' | 'tree' | 'commit';
  /** A symbolic link's content is the path that it names. */
  readonly isLink: boolean;
  readonly object: string;
  /** Bytes; 0 for what is no file. */
  readonly size: number;
}

const ENTRY = /^(\d{6}) (blob|tree|commit) ([0-9a-f]{40,64}) +(\d+|-)\t/;
const LINK_MODE = '120000';

/** Reads the first line of `git ls-tree --long -z`. */
export const parseTreeEntry = (listed: string): TreeEntry => {
  const [, mode, type, object, size] = ENTRY.exec(listed) ?? [];
  if (object === undefined || (type !== 'blob' && type !== 'tree' && type !== 'commit'))
    throw new PluginError({
      code: 'GIT_FAILED',
      message: `git ls-tree answered ${JSON.stringify(listed.slice(0, 200))}`,
      recovery: 'stop',
    });
  return { type, isLink: mode === LINK_MODE, object, size: size === '-' ? 0 : Number(size) };
};
