import { isPluginError, type Op } from '@pipit/core';

/** In the task's own folder, which is there until the build's end is recorded. */
const MARK = 'jenkins-cancelled';

/** Remembers that pipit cancelled this build: an old server forgets what was taken out of its queue. */
export const writeCancelMark = (op: Op<'shell'>): Promise<void> => op.shell.write(MARK, `${op.key}\n`);

export const readCancelMark = async (op: Op<'shell'>): Promise<boolean> => {
  try {
    let text = '';
    for await (const chunk of op.shell.read(MARK)) text += Buffer.from(chunk).toString();
    return text.trim() === op.key;
  } catch (thrown) {
    if (isPluginError(thrown) && thrown.code === 'SHELL_FILE_NOT_FOUND') return false;
    throw thrown;
  }
};
