import { openConfinedFile } from '../confined/open-confined-file.js';
import { TASK_FILES } from './runner-script.js';

/** How much of a log one reading gives. */
const MAX_READ_BYTES = 256 * 1024;

/** How many bytes at the end belong to a character that is not complete. */
const incompleteTail = (bytes: Uint8Array): number => {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
};

/**
 * The task's output from the cursor on (from its beginning without one); empty when there is nothing new. A character is never cut in two.
 *
 * @param after the cursor of the reading before
 */
export const readDetachedLog = async (folder: string, after?: string): Promise<{ readonly text: string; readonly cursor: string }> => {
  const parsed = Number(after ?? '0');
  const offset = Number.isSafeInteger(parsed) && parsed > 0 ? parsed : 0;
  const file = await openConfinedFile({ root: folder, path: TASK_FILES.log });
  if (file === undefined) return { text: '', cursor: `${offset}` };
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_READ_BYTES), 0, MAX_READ_BYTES, offset);
    const bytes = buffer.subarray(0, bytesRead);
    const whole = bytes.subarray(0, bytes.length - incompleteTail(bytes));
    return { text: whole.toString('utf8'), cursor: `${offset + whole.length}` };
  } finally {
    await file.close();
  }
};
