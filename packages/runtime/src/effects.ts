import { type Call, explainSystemError, type Logger, type Op, PluginError, type Sandbox, type Services } from '@pipit/core';
import type { FolderFileStore } from '@pipit/engine-dbos';
import type { EffectRequest, Effects, Records } from '@pipit/pipeline';
import type { Redactor } from '@pipit/plugin-kit';
import { systemClock } from './machine/system-clock.js';
import type { Instances } from './plugins/instances.js';
import { redactError } from './redact-stored.js';
import { refuseSecrets } from './refuse-secrets.js';
import type { GitSources } from './sources/git-sources.js';
import { openCommandOutput } from './work/command-output.js';
import { createLocalFolders } from './work/local-folders.js';
import { createRemoteFolders } from './work/remote-folders.js';
import type { WorkFolder } from './work/work-folder.js';

export interface EffectsOptions {
  readonly records: Records;
  readonly instances: Instances;
  readonly sources: GitSources;
  readonly files: Pick<FolderFileStore, 'tentative'>;
  readonly sandbox: Sandbox;
  readonly redactor: Redactor;
  readonly logger: Logger;
  /** Where the folders of effects on this machine are made. */
  readonly folder: string;
  /** The most that is read of one file that a package or build left. */
  readonly maxFileBytes: number;
  readonly hookUrlOf: (instance: string) => string;
  /** Aborted when pipit stops. */
  readonly stopping: AbortSignal;
}

export interface RuntimeEffects extends Effects {
  /** Removes, at a start, the folders of this machine that no row of the clean-up table names. */
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

/** A plugin may spread its context; so what is missing is told when it is asked for, and not when it is copied. */
const giveServices = (
  given: Omit<Op<keyof Services>, 'shell' | 'source'> & Partial<Pick<Services, 'shell' | 'source'>>,
): Op<keyof Services> => {
  for (const name of ['shell', 'source'] as const)
    if (given[name] === undefined) Object.defineProperty(given, name, { enumerable: false, get: () => missing(name) });
  return given as Op<keyof Services>; // what it lacks throws by itself
};

/** Makes contexts for effects: a folder that is gone afterwards, on every path, the exact commit, the file store; everything said is redacted. */
export const createEffects = (options: EffectsOptions): RuntimeEffects => {
  const { records, instances, sources, files, sandbox, redactor, logger, stopping } = options;
  const local = createLocalFolders({ records, sandbox, folder: options.folder, maxFileBytes: options.maxFileBytes });
  const remote = createRemoteFolders({ records, instances, createCall: (deadlineMs) => createCall(logger, stopping, deadlineMs) });

  const run = async <T>(request: EffectRequest, work: (op: Op<keyof Services>) => Promise<T>): Promise<T> => {
    const { signal, deadlineMs, part, commit } = request;
    const call = createCall(logger, signal, deadlineMs);
    const given = { request, call, openOutput: () => openCommandOutput(redactor, request.onOutput) };
    const stored = files.tentative();
    const connected: WorkFolder[] = [];
    let folder: WorkFolder | undefined;
    try {
      if (request.folder !== 'none') folder = await (part.on === undefined ? local.prepare(given) : remote.prepare(part.on, given));
      const op = giveServices({
        ...call,
        key: request.key,
        attempt: request.attempt,
        report: ({ message, fraction }) =>
          request.onReport(redactor.redact(fraction === undefined ? message : `${message} (${Math.round(fraction * 100)}%)`)),
        files: stored.files,
        callbackUrl: options.hookUrlOf(part.instance),
        ...(folder === undefined ? {} : { shell: folder.shell }),
        ...(commit === undefined ? {} : { source: sources.sourceOf(commit, call.signal) }),
        connect: async (host) => {
          const place = await remote.connect(host, given);
          connected.push(place);
          return place.shell;
        },
      });
      const result = await work(op);
      refuseSecrets(redactor, result, `${part.instance} (${request.step})`);
      return result;
    } catch (thrown) {
      // Nothing refers to what a failed effect stored.
      await stored.takeBack().catch((error: unknown) => logger.warn({ error }, 'Files of a failed effect not removed'));
      throw redactError(redactor, explainSystemError(thrown));
    } finally {
      const passing = request.folder === 'attempt' && folder !== undefined ? [...connected, folder] : connected;
      for (const each of passing) await each.remove();
      for (const each of folder === undefined ? connected : [...connected, folder]) await each.close();
    }
  };

  const removeFolder: Effects['removeFolder'] = ({ kind, target }) => (kind === 'folder' ? local.remove(target) : remote.remove(target));

  return { run, removeFolder, openLog: () => redactor.stream(), removeUnknownFolders: local.removeUnknown };
};
