import { spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { statfs } from 'node:fs/promises';

/** A lock of the kernel on a folder. It ends with the last process that has the descriptor, in whatever way that ends. */
export interface FolderLock {
  /** Open on the folder. A process that inherits it holds the lock too. */
  readonly descriptor: number;
  release(): void;
}

export type FolderLockAttempt =
  | { readonly state: 'taken'; readonly lock: FolderLock }
  | { readonly state: 'held' }
  | { readonly state: 'unsupported'; readonly reason: string };

/** Where libuv puts the first descriptor after stdio. */
const CHILD_DESCRIPTOR = 3;
/** flock(1)'s exit code for a lock that another holds. */
const HELD = 1;
/** It only makes one system call, which does not wait. */
const FLOCK_WITHIN_MS = 30_000;

/** Magic numbers of file systems that other machines write too. Source: linux/magic.h and the headers of smb and 9p. */
const NETWORK_FILE_SYSTEMS: Readonly<Record<number, string>> = {
  26985: 'NFS',
  20859: 'SMB',
  4283649346: 'CIFS',
  4266872130: 'SMB2',
  12805120: 'Ceph',
  1397113167: 'AFS',
};

/** Why a lock on this folder does not hold off other machines; undefined: its file system belongs to this one. */
const findNetworkFileSystem = async (folder: string): Promise<string | undefined> => {
  const { type } = await statfs(folder);
  const name = NETWORK_FILE_SYSTEMS[type >>> 0];
  return name === undefined ? undefined : `${folder} is on ${name}, where other machines may not see the lock`;
};

/**
 * Runs flock(1) on a descriptor that we share with it. The lock belongs to the open file, so it stays ours when flock has ended: Node itself has no
 * call for it.
 */
const flock = (descriptor: number): Promise<{ readonly exitCode: number } | { readonly cannot: string }> =>
  new Promise((settle, reject) => {
    const child = spawn('flock', ['-x', '-n', String(CHILD_DESCRIPTOR)], {
      cwd: '/',
      stdio: ['ignore', 'ignore', 'pipe', descriptor],
      timeout: FLOCK_WITHIN_MS,
      killSignal: 'SIGKILL',
    });
    let said = '';
    child.stderr?.on('data', (piece: Buffer) => {
      said += piece.toString();
    });
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'EACCES') settle({ cannot: 'the program flock (of util-linux) is not installed' });
      else reject(error);
    });
    child.on('close', (exitCode, signal) => {
      if (exitCode === null) reject(new Error(`flock was ended by ${signal}`));
      else if (exitCode === 0 || exitCode === HELD) settle({ exitCode });
      else settle({ cannot: `flock ended with ${exitCode}: ${said.trim()}` });
    });
  });

/**
 * Tries to lock a folder against every other process of this kernel, whatever its namespaces and whichever path it uses, without waiting. The folder itself
 * is locked and not a file in it, so that nobody can remove what is locked and keep the data.
 */
export const tryLockFolder = async (folder: string): Promise<FolderLockAttempt> => {
  if (process.platform !== 'linux') return { state: 'unsupported', reason: `there is no flock on ${process.platform}` };
  const network = await findNetworkFileSystem(folder);
  const descriptor = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  let isTaken = false;
  try {
    const end = await flock(descriptor);
    if ('cannot' in end) return { state: 'unsupported', reason: end.cannot };
    if (end.exitCode === HELD) return { state: 'held' };
    // Taken and given back: on such a file system it proves nothing.
    if (network !== undefined) return { state: 'unsupported', reason: network };
    isTaken = true;
    let isOpen = true;
    return {
      state: 'taken',
      lock: {
        descriptor,
        release: () => {
          if (isOpen) closeSync(descriptor);
          isOpen = false;
        },
      },
    };
  } finally {
    if (!isTaken) closeSync(descriptor);
  }
};
