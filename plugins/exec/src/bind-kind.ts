import { type Call, isPluginError, type Op, type OperationCall, PluginError, type Setup } from '@pipit/core';
import type { Collected, Packages } from './answers.js';
import { inCallFolder } from './call-folder.js';
import { type CallOptions, callProgram, logProgress } from './call-program.js';
import { prepareFiles, storeCollected, storePackages } from './files-of-call.js';
import { revealSecrets } from './json-schema.js';
import type { ProgramCall } from './program-error.js';
import { type Description, HOOKS, METHODS, type Method, PROTOCOL_VERSION, type ProgramKind, SHELL_KINDS } from './protocol.js';

export interface Program {
  /** Absolute. */
  readonly path: string;
  readonly description: Description;
  /** As the program's schema made it, secrets wrapped. */
  readonly config: unknown;
  readonly setup: Pick<Setup, 'instance' | 'hookUrl' | 'folder' | 'logger'>;
}

/** `::progress 0.5 text` on standard error; any other line is a line of the log. */
const PROGRESS = /^::progress (0(?:\.\d+)?|1(?:\.0+)?) (.+)$/;

const reporter =
  (op: OperationCall) =>
  (line: string): void => {
    const match = PROGRESS.exec(line);
    // The shell itself puts each line into the step's log.
    if (match !== null) op.report({ message: match[2] ?? '', fraction: Number(match[1]) });
  };

interface Invocation {
  readonly program: Program;
  readonly kind: ProgramKind | 'plugin';
  readonly name: string;
  readonly method: Method;
  readonly request: unknown;
  readonly call: Call;
}

const timeLeft = ({ call, program }: Invocation): number =>
  Math.min(call.deadline.getTime() - call.clock.now().getTime(), program.description.timeLimitSeconds * 1_000);

const programCall = ({ program, kind, name, method }: Invocation): ProgramCall => ({
  program: program.path,
  method: `${kind}.${name}`,
  recovery: method.isEffect === true ? 'reconcile' : 'retry',
});

/** The JSON that stands on the program's standard input. */
const requestOf = (
  { program, kind, name, request, call }: Invocation,
  paths: Readonly<Record<string, string>>,
): Readonly<Record<string, unknown>> => {
  const { key, attempt, callbackUrl } = call as Partial<Op<'callbackUrl'>>; // absent where the call is no effect
  return {
    protocol: PROTOCOL_VERSION,
    kind,
    method: name,
    instance: program.setup.instance,
    hookUrl: program.setup.hookUrl,
    ...(key === undefined ? {} : { key, attempt }),
    ...(callbackUrl === undefined ? {} : { callbackUrl }),
    now: call.clock.now().toISOString(),
    deadline: call.deadline.toISOString(),
    paths,
    config: revealSecrets(program.config),
    request: revealSecrets(request),
  };
};

const inShell = async (invocation: Invocation, op: Op<'shell' | 'source' | 'files'>): Promise<unknown> => {
  const { method, request } = invocation;
  const paths = { folder: op.shell.folder, ...(await prepareFiles(method.prepares ?? [], request, op)) };
  return callProgram({
    call: programCall(invocation),
    shell: op.shell,
    request: requestOf(invocation, paths),
    answer: method.answer,
    timeoutMs: timeLeft(invocation),
    onProgress: reporter(op),
  });
};

const inOwnFolder = (invocation: Invocation): Promise<unknown> => {
  const { program, call, method } = invocation;
  const named = programCall(invocation);
  const log = logProgress(call.logger, named);
  return inCallFolder(`${program.setup.folder}/calls`, call.signal, (shell) => {
    const options: CallOptions = {
      call: named,
      shell,
      request: requestOf(invocation, { folder: shell.folder }),
      answer: method.answer,
      timeoutMs: timeLeft(invocation),
      onProgress: (line) => {
        log(line);
        if ('report' in call) reporter(call as OperationCall)(line); // what has a report is an effect's context
      },
    };
    return callProgram(options);
  });
};

const invoke = async (invocation: Invocation): Promise<unknown> => {
  invocation.call.signal.throwIfAborted();
  const { kind, name, request, call } = invocation;
  if (kind === 'plugin' || !SHELL_KINDS.includes(kind)) return inOwnFolder(invocation);
  const op = call as Op<'shell' | 'source' | 'files'>; // the services that core gives these kinds
  const value = await inShell(invocation, op);
  // The schemas of the two have just parsed the value.
  if (kind === 'ci' && name === 'collect') return storeCollected(value as Collected, op);
  if (kind === 'packager') return storePackages(value as Packages, request as Parameters<typeof storePackages>[1], op);
  return value;
};

/** An object of one kind, each of whose methods runs the program once. */
export const bindKind = (program: Program, kind: ProgramKind): object => {
  const described = program.description.kinds[kind];
  const bound: Record<string, unknown> = described?.formats === undefined ? {} : { formats: described.formats };
  for (const [name, method] of Object.entries(METHODS[kind])) {
    if (described?.methods.includes(name) !== true) continue;
    bound[name] = async (...given: readonly unknown[]): Promise<unknown> => {
      const call = given.at(-1) as Call; // the last argument of every method
      const values = given.slice(0, -1);
      const request =
        method.arguments === undefined ? values[0] : Object.fromEntries(method.arguments.map((key, index) => [key, values[index]]));
      // A program says null where TypeScript says undefined.
      return (await invoke({ program, kind, name, method, request, call })) ?? undefined;
    };
  }
  return bound;
};

/** The calls of the plugin as a whole that the program has. */
export const bindHooks = (program: Program): object => {
  const { hooks } = program.description;
  const on = (name: 'receive' | 'checkHealth', request: unknown, call: Call) =>
    invoke({ program, kind: 'plugin', name, method: HOOKS[name], request, call });
  return {
    ...(hooks.includes('receive') && {
      receive: (request: { readonly body: Uint8Array }, call: Call) =>
        on('receive', { ...request, body: Buffer.from(request.body).toString('base64') }, call),
    }),
    ...(hooks.includes('checkHealth') && {
      checkHealth: async (call: Call) => {
        try {
          return await on('checkHealth', {}, call);
        } catch (error) {
          if (!isPluginError(error)) throw error;
          return [
            { name: program.description.name, ok: false, detail: error.message, ...(error.hint !== undefined && { hint: error.hint }) },
          ];
        }
      },
    }),
  };
};

/** Stands where a program has not the kind that a slot wants of it. */
export const missingKind = (program: Program, kind: ProgramKind): object => {
  const refuse = () =>
    Promise.reject(
      new PluginError({
        code: 'EXEC_KIND_MISSING',
        message: `${program.path} is no ${kind}: it describes itself as ${Object.keys(program.description.kinds).join(', ')}`,
        hint: 'Write `uses: exec:PATH`, so that pipit check can tell.',
        recovery: 'stop',
      }),
    );
  return { formats: [], ...Object.fromEntries(Object.keys(METHODS[kind]).map((name) => [name, refuse])) };
};
