import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A process may be killed for other reasons while it parses a file: so often it is tried. */
const MAX_BEGUN = 3;
const BROKE = 'broke';

export interface ParseMark {
  /** Notes that the file is about to be parsed; false when it is not to be: it broke its parser, or nobody who began ever came to an end. */
  begin(): Promise<boolean>;
  /** It was parsed, whatever it said. */
  end(): Promise<void>;
  /** It broke its parser. */
  giveUp(): Promise<void>;
}

/** Remembers over restarts which of a mirror's files broke their parser: a folder of its own in the mirror, in which git has no interest. */
export const createParseMark = (mirror: string, object: string): ParseMark => {
  const folder = join(mirror, 'pipit-parsing');
  const path = join(folder, object);
  const write = async (text: string): Promise<void> => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(path, text, { mode: 0o600 });
  };
  return {
    begin: async () => {
      const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return '0';
        throw error;
      });
      if (text === BROKE) return false;
      // What cannot be read was cut by a crash.
      const begun = Number(text) || 0;
      if (begun >= MAX_BEGUN) return false;
      await write(String(begun + 1));
      return true;
    },
    end: () => rm(path, { force: true }),
    giveUp: () => write(BROKE),
  };
};
