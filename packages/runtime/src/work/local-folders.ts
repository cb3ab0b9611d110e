import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Sandbox } from '@pipit/core';
import type { Records } from '@pipit/pipeline';
import { removeFolder } from '@pipit/plugin-kit';
import { systemClock } from '../machine/system-clock.js';
import { createLocalShell } from './local-shell.js';
import { type FolderRequest, folderNameOf, type WorkFolder } from './work-folder.js';

export interface LocalFolders {
  prepare(request: FolderRequest): Promise<WorkFolder>;
  remove(target: string): Promise<void>;
  /** Removes, at a start, the folders that no row of the clean-up table names. */
  removeUnknown(): Promise<void>;
}

/** After so many runs, one that is still under way may be told again. */
const MAX_REMEMBERED_RUNS = 1_000;

/** Work folders on pipit's own machine, all under one folder. */
export const createLocalFolders = (ports: {
  readonly records: Records;
  readonly sandbox: Sandbox;
  readonly folder: string;
  readonly maxFileBytes: number;
}): LocalFolders => {
  const { records, sandbox, folder, maxFileBytes } = ports;
  // Without namespaces the sandbox's user passes through it to the folders that are his.
  const mode = sandbox.mode === 'user' ? 0o711 : 0o700;

  const reported = new Set<string>();
  /** Each run's log says once what the sandbox cannot do here. */
  const reportGaps = ({ request }: FolderRequest): void => {
    const run = request.operationId.split(':')[0] ?? '';
    if (sandbox.gaps.length === 0 || reported.has(run)) return;
    if (reported.size >= MAX_REMEMBERED_RUNS) reported.clear();
    reported.add(run);
    for (const { name, detail } of sandbox.gaps) request.onOutput(`pipit: sandbox, ${name}: ${detail}\n`);
  };

  const remove = async (target: string): Promise<void> => {
    if (relative(folder, target).startsWith('..')) throw new Error(`${target} is not one of pipit's work folders`);
    await removeFolder(target);
  };

  const prepare = async (given: FolderRequest): Promise<WorkFolder> => {
    const { request, call, openOutput } = given;
    reportGaps(given);
    const path = join(folder, folderNameOf(request));
    const createdAt = systemClock.now().toISOString();
    const row = { id: path, kind: 'folder', target: path, operationId: request.operationId, createdAt, lastError: null } as const;
    // The row comes first: a crash between the two leaves a row without a folder, never a folder without a row.
    await records.transaction((transaction) => transaction.insert('cleanups', row));
    if (request.folder === 'attempt') await removeFolder(path);
    await mkdir(path, { recursive: true, mode });
    await chmod(path, mode);
    return {
      shell: createLocalShell({
        folder: path,
        sandbox,
        signal: call.signal,
        deadlineMs: request.deadlineMs,
        maxFileBytes,
        openOutput,
      }),
      remove: async () => {
        await remove(path);
        await records.transaction((transaction) => transaction.remove('cleanups', { id: path }));
      },
      close: async () => undefined,
    };
  };

  /** A restored older database does not know the folders of what it lost; nothing else leaves one without a row. */
  const removeUnknown = async (): Promise<void> => {
    const known = new Set((await records.list('cleanups')).map((row) => row.target));
    const found = (await readdir(folder)).map((name) => join(folder, name));
    for (const path of found.filter((each) => !known.has(each))) await remove(path);
  };

  return { prepare, remove, removeUnknown };
};
