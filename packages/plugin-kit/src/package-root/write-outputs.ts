import { type BuildOutput, type Op, PluginError } from '@pipit/core';
import { PACKAGE_FOLDERS } from './package-folders.js';

/** Programs and scripts by their first bytes: what CI's outputs lost on their way is their file mode. */
const EXECUTABLE_BYTES = ['#!', '\u007fELF'];

const isExecutable = async (content: AsyncIterable<Uint8Array>): Promise<boolean> => {
  for await (const chunk of content) {
    const start = Buffer.from(chunk).toString('latin1', 0, 4);
    return EXECUTABLE_BYTES.some((bytes) => start.startsWith(bytes));
  }
  return false;
};

/**
 * Puts CI's outputs into their folder, with a mode that fits.
 *
 * @throws PluginError `PACKAGE_OUTPUT_PATH` (stop)
 */
export const writeOutputs = async (op: Op<'shell' | 'files'>, outputs: readonly BuildOutput[]): Promise<void> => {
  for (const { path, file } of outputs) {
    if (path.startsWith('/') || /\p{Cc}/u.test(path) || path.split('/').some((part) => part === '' || part === '.' || part === '..'))
      throw new PluginError({
        code: 'PACKAGE_OUTPUT_PATH',
        message: `CI left a file with the path ${JSON.stringify(path)}, which does not lie within the package or has a control character`,
        hint: 'The CI plugin must give paths relative to the root of the package.',
        recovery: 'stop',
      });
    const mode = (await isExecutable(op.files.get(file))) ? 0o755 : 0o644;
    await op.shell.write(`${PACKAGE_FOLDERS.outputs}/${path}`, op.files.get(file), { mode });
  }
};
