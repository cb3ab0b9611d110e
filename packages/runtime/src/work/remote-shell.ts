import { posix } from 'node:path';
import type { Connection, RunOptions, Shell } from '@pipit/core';
import type { OpenCommandOutput } from './command-output.js';

export interface RemoteShellOptions {
  readonly connection: Connection;
  /** Absolute, on the host. */
  readonly folder: string;
  readonly deadlineMs: number;
  readonly openOutput: OpenCommandOutput;
}

/** A shell on another host: a transport's connection, with a folder. Code of the delivered repository is that host's matter there. */
export const createRemoteShell = ({ connection, folder, deadlineMs, openOutput }: RemoteShellOptions): Shell => {
  const at = (path: string): string => posix.resolve(folder, path);
  return {
    folder,
    run: async (argv, options: RunOptions = {}) => {
      const output = openOutput();
      try {
        return await connection.run(argv, {
          ...options,
          cwd: at(options.cwd ?? '.'),
          env: { HOME: folder, ...options.env },
          timeoutMs: options.timeoutMs ?? deadlineMs,
          onOutput: (text, from) => {
            output.write(text, from);
            options.onOutput?.(text, from);
          },
        });
      } finally {
        output.end();
      }
    },
    write: (path, content, options) => connection.write(at(path), content, options),
    read: (path) => {
      const target = at(path);
      return connection.read(target, target.startsWith(`${folder}/`) ? { below: folder } : {});
    },
  };
};
