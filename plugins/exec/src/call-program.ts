import { randomUUID } from 'node:crypto';
import { isPluginError, type Logger, PluginError, type Shell } from '@pipit/core';
import { describeIssues } from '@pipit/plugin-kit';
import type { z } from 'zod';
import { badAnswer, commandError, ended, notRun, type ProgramCall, tooLarge } from './program-error.js';
import { envelope } from './protocol.js';

/** An answer is read into memory. */
export const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
/** Each wrong value makes an issue, so that millions of `0,` fill the memory. Commas within texts count too; 20,000 hosts have half of it. */
const MAX_ANSWER_VALUES = 250_000;

/** Commas are counted one by one: a list of them would itself be large. */
const countValues = (text: string): number => {
  let values = 1;
  for (let at = text.indexOf(','); at >= 0; at = text.indexOf(',', at + 1)) values += 1;
  return values;
};

export interface CallOptions {
  readonly call: ProgramCall;
  readonly shell: Pick<Shell, 'folder' | 'run' | 'read'>;
  /** Written as JSON to the program's standard input: the only place where secrets are. */
  readonly request: unknown;
  readonly answer: z.ZodType;
  readonly timeoutMs: number;
  readonly onProgress: (line: string) => void;
}

/** `sh` only puts the answer into a file, so that what is shown live is standard error alone. The arguments say again what is called: `ci start`. */
const withAnswerIn = (file: string, { program, method }: ProgramCall): readonly string[] => [
  ...['sh', '-c', 'file=$1; shift; exec "$@" >"$file"', 'sh', file],
  ...[program, ...method.split('.')],
];

const lineReader = (onLine: (line: string) => void): ((text: string) => void) => {
  let rest = '';
  return (text) => {
    const lines = `${rest}${text}`.split('\n');
    rest = (lines.pop() ?? '').slice(-10_000);
    for (const line of lines) if (line.trim() !== '') onLine(line.trimEnd());
  };
};

const readAnswer = async ({ shell, call }: CallOptions, file: string): Promise<string> => {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of shell.read(file)) {
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) throw tooLarge(call, MAX_ANSWER_BYTES);
      chunks.push(chunk);
    }
  } catch (thrown) {
    if (isPluginError(thrown) && thrown.code === 'SHELL_FILE_NOT_FOUND') return '';
    throw thrown;
  }
  return Buffer.concat(chunks).toString('utf8');
};

/** The answer's value, or the program's own error. */
export const parseAnswer = (text: string, call: ProgramCall, answer: z.ZodType): unknown => {
  if (text.trim() === '') throw badAnswer(call, 'it wrote nothing to standard output');
  if (countValues(text) > MAX_ANSWER_VALUES) throw badAnswer(call, `it has more than ${MAX_ANSWER_VALUES} values`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw badAnswer(call, 'it is not one JSON value', cause);
  }
  const outer = envelope.safeParse(json);
  if (!outer.success)
    throw badAnswer(call, `expected {"ok": ...} or {"error": {code, message, recovery}} (${describeIssues(outer.error)})`);
  if ('error' in outer.data) {
    const { hint, ...error } = outer.data.error;
    // The code is the program's own, so it stands in no reference of ours.
    throw new PluginError({ ...error, ...(hint !== undefined && { hint }), message: `${error.message} (${call.program}, ${call.method})` });
  }
  const inner = answer.safeParse(outer.data.ok);
  if (!inner.success) throw badAnswer(call, describeIssues(inner.error));
  return inner.data;
};

/**
 * Runs the program once. Its answer is checked by the schema of its method.
 *
 * @throws PluginError `EXEC_PROGRAM_NOT_RUN` (stop), `EXEC_PROGRAM_FAILED`, `EXEC_TIMED_OUT`, `EXEC_ANSWER_INVALID`, `EXEC_ANSWER_TOO_LARGE`, or
 * the error that the program answered
 */
export const callProgram = async (options: CallOptions): Promise<unknown> => {
  const { call, shell, request, timeoutMs, onProgress } = options;
  const file = `answer-${randomUUID()}.json`;
  try {
    const result = await shell
      .run(withAnswerIn(file, call), {
        input: JSON.stringify(request),
        timeoutMs: Math.max(timeoutMs, 1),
        onOutput: lineReader(onProgress),
      })
      .catch((thrown: unknown) => Promise.reject(commandError(call, thrown)));
    const { exitCode, stderr } = result;
    const text = await readAnswer(options, file);
    if (exitCode === 0) return parseAnswer(text, call, options.answer);
    if (text.trim() === '' && (exitCode === 126 || exitCode === 127)) throw notRun(call, exitCode);
    throw ended(call, exitCode, stderr);
  } finally {
    await shell.run(['rm', '-f', '--', file]).catch(() => undefined);
  }
};

export const logProgress =
  (logger: Logger, call: ProgramCall) =>
  (line: string): void =>
    logger.info({ program: call.program, method: call.method, line }, 'Program said');
