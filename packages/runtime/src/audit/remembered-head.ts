import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';

/** The last head that this server signed or saw: outside of the database, so that who rewrites that cannot make it forget. */
export interface RememberedHead {
  readonly path: string;
  read(): Promise<{ readonly sequence: number; readonly hash: string } | undefined>;
  write(head: { readonly sequence: number; readonly hash: string }): Promise<void>;
}

export const createRememberedHead = (keysFolder: string): RememberedHead => {
  const path = join(keysFolder, 'audit-head.json');
  return {
    path,
    read: async () => {
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      });
      return text === undefined ? undefined : (JSON.parse(text) as { sequence: number; hash: string }); // written below, whole
    },
    write: async ({ sequence, hash }) => {
      const handle = await open(`${path}.new`, 'w', 0o600);
      try {
        await handle.writeFile(`${JSON.stringify({ sequence, hash })}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(`${path}.new`, path);
    },
  };
};
