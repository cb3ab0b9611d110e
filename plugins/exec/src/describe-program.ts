import { access, constants, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { PluginError } from '@pipit/core';
import { inCallFolder } from './call-folder.js';
import { callProgram } from './call-program.js';
import { badAnswer, type ProgramCall } from './program-error.js';
import { type Description, description, METHODS, PROTOCOL_VERSION, type ProgramKind } from './protocol.js';

/** A description is asked for while a config is read. */
const DESCRIBE_TIMEOUT_MS = 20_000;

/** Kinds whose plugins say which formats they know. */
const KINDS_WITH_FORMATS: readonly string[] = ['packager', 'repository', 'deployer'];

const checkFile = async (path: string): Promise<void> => {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true)
    throw new PluginError({
      code: 'EXEC_PROGRAM_MISSING',
      message: `There is no program ${path}`,
      hint: "The path behind exec: starts at the config file's folder.",
      recovery: 'stop',
    });
  await access(path, constants.X_OK).catch((cause: unknown) => {
    throw new PluginError({
      code: 'EXEC_PROGRAM_NOT_EXECUTABLE',
      message: `${path} is not executable`,
      hint: `chmod +x ${path}`,
      recovery: 'stop',
      cause,
    });
  });
};

const faultOf = ({ kinds }: Description): string | undefined => {
  const entries = Object.entries(kinds);
  if (entries.length === 0) return 'kinds: it names no kind';
  for (const [kind, { methods, formats }] of entries) {
    const known = METHODS[kind as ProgramKind]; // the schema lets no other key through
    const unknown = methods.find((name) => !Object.hasOwn(known, name));
    if (unknown !== undefined) return `kinds.${kind}.methods: there is no method ${JSON.stringify(unknown)}`;
    const missing = Object.entries(known).find(([name, { isRequired }]) => isRequired === true && !methods.includes(name));
    if (missing !== undefined) return `kinds.${kind}.methods: ${missing[0]} is missing, which every ${kind} has`;
    if (KINDS_WITH_FORMATS.includes(kind) && formats === undefined) return `kinds.${kind}.formats: is missing`;
  }
  return undefined;
};

/**
 * Asks a program what it is.
 *
 * @param path absolute
 * @throws PluginError `EXEC_PROGRAM_MISSING`, `EXEC_PROGRAM_NOT_EXECUTABLE` (stop), and those of a call
 */
export const describeProgram = async (path: string): Promise<Description> => {
  await checkFile(path);
  const call: ProgramCall = { program: path, method: 'describe', recovery: 'stop' };
  const value = await inCallFolder(tmpdir(), undefined, (shell) =>
    callProgram({
      call,
      shell,
      request: { protocol: PROTOCOL_VERSION, method: 'describe' },
      answer: description,
      timeoutMs: DESCRIBE_TIMEOUT_MS,
      onProgress: () => undefined,
    }),
  );
  const described = value as Description; // the schema has just parsed it
  const fault = faultOf(described);
  if (fault !== undefined) throw badAnswer(call, fault);
  return described;
};
