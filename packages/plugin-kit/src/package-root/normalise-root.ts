import { type Op, PluginError } from '@pipit/core';
import { PACKAGE_FOLDERS } from './package-folders.js';
import { runPackaging } from './run-packaging.js';

/**
 * Makes everything in the package's root the same, whoever built it, when and with which umask: modes 0755 and 0644, and the commit's time.
 * (The owner is the packaging program's to set.) Devices, pipes and sockets are refused.
 *
 * @throws PluginError `PACKAGE_BUILD_FAILED` (stop)
 */
export const normalisePackageRoot = async (op: Op<'shell'>, epochSeconds: number): Promise<void> => {
  const root = PACKAGE_FOLDERS.root;
  const special = await runPackaging(op, ['find', root, '!', '-type', 'f', '!', '-type', 'd', '!', '-type', 'l', '-print', '-quit']);
  if (special !== '')
    throw new PluginError({
      code: 'PACKAGE_BUILD_FAILED',
      message: `${special.trim().slice(root.length)} is a device, pipe or socket, which no package should hold`,
      hint: 'Let script/package leave only files, folders and links.',
      recovery: 'stop',
    });
  await runPackaging(op, ['find', root, '-type', 'd', '-exec', 'chmod', '0755', '--', '{}', '+']);
  await runPackaging(op, ['find', root, '-type', 'f', '-perm', '/0111', '-exec', 'chmod', '0755', '--', '{}', '+']);
  await runPackaging(op, ['find', root, '-type', 'f', '!', '-perm', '/0111', '-exec', 'chmod', '0644', '--', '{}', '+']);
  await runPackaging(op, ['find', root, '-depth', '-exec', 'touch', '--no-dereference', `--date=@${epochSeconds}`, '--', '{}', '+']);
};
