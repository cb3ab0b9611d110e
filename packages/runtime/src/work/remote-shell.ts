import { posix } from 'node:path';
import type { Connection, RunOptions, Shell } from '@pipit/core';

export interface RemoteShellOptions {
  readonly connection: Connection;
  /** Absolute, on the host. */
  readonly folder: string;
  readonly deadlineMs: number;
  readonly onOutput: (text: string) => void;
}

/** A shell on another host: a transport's connection, with a folder. Code of the delivered repository is that host's matter there. */
export const createRemoteShell = ({ connection, folder, deadlineMs, onOutput }: RemoteShellOptions): Shell => {
  const at = (path: string): string => posix.resolve(folder, path);
  return {
    folder,
    run: (argv, options: RunOptions = {}) =>
      connection.run(argv, {
        ...options,
        cwd: at(options.cwd ?? '.'),
        env: { HOME: folder, ...options.env },
        timeoutMs: options.timeoutMs ?? deadlineMs,
        onOutput: (text) => {
          onOutput(text);
          options.onOutput?.(text);
        },
      }),
    write: (path, content, options) => connection.write(at(path), content, options),
    read: (path) => {
      const target = at(path);
      return connection.read(target, target.startsWith(`${folder}/`) ? { below: folder } : {});
    },
  };
};
