import { createHash } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type Call, type FileStore, type Logger, type Op, PluginError, type Sandbox, type Services, type Shell } from '@pipit/core';
import type { EffectRequest, Effects, Records } from '@pipit/pipeline';
import type { Redactor } from '@pipit/plugin-kit';
import { createLocalShell } from './machine/local-shell.js';
import { systemClock } from './machine/system-clock.js';
import { redactError } from './redact-stored.js';
import type { GitSources } from './sources/git-sources.js';

export interface EffectsOptions {
  readonly records: Records;
  readonly sources: GitSources;
  readonly files: FileStore;
  readonly sandbox: Sandbox;
  readonly redactor: Redactor;
  readonly logger: Logger;
  /** Where the folders of effects are made. */
  readonly folder: string;
  readonly hookUrlOf: (instance: string) => string;
}

/** Effects whose folders lie on this machine. */
export interface LocalEffects extends Effects {
  /** Removes, at a start, the folders that no row of the clean-up table names. */
  removeUnknownFolders(): Promise<void>;
}

/** An open call of a plugin, outside any operation. */
export const createCall = (logger: Logger, signal: AbortSignal, deadlineMs: number): Call => ({
  signal: AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]),
  deadline: new Date(Date.now() + deadlineMs),
  logger,
  clock: systemClock,
  random: Math.random,
});

const missing = (what: string): never => {
  throw new PluginError({
    code: 'SERVICE_NOT_GIVEN',
    message: `This kind's method gets no ${what}`,
    hint: 'This is a fault of the plugin: report it to its author.',
    recovery: 'stop',
  });
};

/** Makes contexts for effects: a folder that is gone afterwards, on every path, the exact commit, the file store; everything said is redacted. */
export const createEffects = (options: EffectsOptions): LocalEffects => {
  const { records, sources, files, sandbox, redactor, logger } = options;

  /** Short and safe for every tool: keys hold colons, and sockets in it must stay under 104 characters. */
  const folderOf = ({ key, folder, attempt }: EffectRequest): string => {
    const name = createHash('sha256').update(key).digest('hex').slice(0, 20);
    return join(options.folder, folder === 'task' ? name : `${name}-${attempt}`);
  };

  const prepareFolder = async (request: EffectRequest): Promise<string> => {
    const path = folderOf(request);
    const row = {
      id: path,
      kind: 'folder',
      target: path,
      operationId: request.operationId,
      createdAt: new Date().toISOString(),
      lastError: null,
    } as const;
    // The row comes first: a crash between the two leaves a row without a folder, never a folder without a row.
    await records.transaction((transaction) => transaction.insert('cleanups', row));
    if (request.folder === 'attempt') await rm(path, { recursive: true, force: true });
    await mkdir(path, { recursive: true, mode: 0o755 });
    return path;
  };

  const removeFolder = async (target: string): Promise<void> => {
    if (relative(options.folder, target).startsWith('..')) throw new Error(`${target} is not one of pipit's work folders`);
    await rm(target, { recursive: true, force: true });
  };

  const run = async <T>(request: EffectRequest, work: (op: Op<keyof Services>) => Promise<T>): Promise<T> => {
    const { signal, deadlineMs, instance, commit } = request;
    const call = createCall(logger, signal, deadlineMs);
    const output = redactor.stream();
    const folder = request.folder === 'none' ? undefined : await prepareFolder(request);
    const shell: Shell | undefined =
      folder === undefined
        ? undefined
        : createLocalShell({
            folder,
            sandbox,
            signal: call.signal,
            deadlineMs,
            onOutput: (text) => {
              const shown = output.write(text);
              if (shown !== '') request.onOutput(shown);
            },
          });
    const op: Op<keyof Services> = {
      ...call,
      key: request.key,
      attempt: request.attempt,
      report: ({ message, fraction }) =>
        request.onReport(redactor.redact(fraction === undefined ? message : `${message} (${Math.round(fraction * 100)}%)`)),
      files,
      callbackUrl: options.hookUrlOf(instance),
      get shell() {
        return shell ?? missing('shell');
      },
      get source() {
        return commit === undefined ? missing('source') : sources.sourceOf(commit, call.signal);
      },
      connect: async () => {
        throw new PluginError({
          code: 'TRANSPORT_NOT_CONFIGURED',
          message: 'No transport is configured, so no other host can be reached',
          hint: 'Use a deployer that works on this machine, or add a transport plugin.',
          recovery: 'stop',
        });
      },
    };
    try {
      return await work(op);
    } catch (thrown) {
      throw redactError(redactor, thrown);
    } finally {
      const rest = output.flush();
      if (rest !== '') request.onOutput(rest);
      if (folder !== undefined && request.folder === 'attempt') {
        await removeFolder(folder);
        await records.transaction((transaction) => transaction.remove('cleanups', { id: folder }));
      }
    }
  };

  /** A restored older database does not know the folders of what it lost; nothing else leaves one without a row. */
  const removeUnknownFolders = async (): Promise<void> => {
    const known = new Set((await records.list('cleanups')).map((row) => row.target));
    const found = (await readdir(options.folder)).map((name) => join(options.folder, name));
    for (const path of found.filter((each) => !known.has(each))) await removeFolder(path);
  };

  return { run, removeFolder, removeUnknownFolders };
};
