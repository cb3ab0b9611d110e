import { readConfinedText } from '../confined/read-confined.js';
import type { ProcessIdentity } from './process-identity.js';
import { TASK_FILES } from './runner-script.js';

export interface StartedRecord extends ProcessIdentity {
  readonly bootId: string;
}

export interface EndedRecord {
  readonly exitCode: number;
  readonly reason?: 'timeLimit' | 'outputLimit' | 'stopped';
}

const isReason = (word: string): word is NonNullable<EndedRecord['reason']> =>
  word === 'timeLimit' || word === 'outputLimit' || word === 'stopped';

/** The runner writes a few numbers and words. */
const MAX_RECORD_BYTES = 1024;

const readWords = async (folder: string, name: string): Promise<readonly string[] | undefined> =>
  (await readConfinedText({ root: folder, path: name }, MAX_RECORD_BYTES))?.trim().split(' ');

export const readStarted = async (folder: string): Promise<StartedRecord | undefined> => {
  const words = await readWords(folder, TASK_FILES.started);
  if (words === undefined) return undefined;
  const [pid = '', startTime = '', bootId = ''] = words;
  return { pid: Number(pid), startTime, bootId };
};

export const readChild = async (folder: string): Promise<ProcessIdentity | undefined> => {
  const words = await readWords(folder, TASK_FILES.child);
  if (words === undefined) return undefined;
  const [pid = '', startTime = ''] = words;
  return { pid: Number(pid), startTime };
};

export const readEnded = async (folder: string): Promise<EndedRecord | undefined> => {
  const words = await readWords(folder, TASK_FILES.ended);
  if (words === undefined) return undefined;
  const [exitCode = '', reason = ''] = words;
  return isReason(reason) ? { exitCode: Number(exitCode), reason } : { exitCode: Number(exitCode) };
};
