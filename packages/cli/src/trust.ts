import { lstat, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PluginError } from '@pipit/core';
import { cleanLine } from './render/clean-text.js';
import type { Session } from './session.js';

/** Who runs this: its own uid, and under sudo the uid of the person. */
const ownUids = (environment: Session['world']['environment'], uid: number): readonly number[] => {
  const { SUDO_UID } = environment;
  return uid === 0 && SUDO_UID !== undefined && /^\d{1,10}$/.test(SUDO_UID) ? [0, Number(SUDO_UID)] : [0, uid];
};

const strangerOf = async (path: string, uids: readonly number[]): Promise<{ readonly path: string; readonly uid: number } | undefined> => {
  // The link itself and what it leads to: either's owner may put other code there.
  const real = await realpath(path).catch(() => path);
  for (const each of new Set([path, dirname(path), real, dirname(real)])) {
    const entry = await lstat(each).catch(() => undefined);
    if (entry !== undefined && !uids.includes(entry.uid)) return { path: each, uid: entry.uid };
  }
  return undefined;
};

/**
 * Refuses a file of somebody else's: who owns it, or its folder, has his code run as this user. As git's safe.directory, which is about the same.
 * Root's files are taken, `--trust` takes anyone's. Throws `CLI_STRANGERS_FILE`.
 */
export const requireOwn = async ({ world, options }: Pick<Session, 'world' | 'options'>, path: string): Promise<void> => {
  const uid = process.getuid?.();
  if (options.trust === true || uid === undefined) return;
  const stranger = await strangerOf(path, ownUids(world.environment, uid));
  if (stranger === undefined) return;
  throw new PluginError({
    code: 'CLI_STRANGERS_FILE',
    message: `${stranger.path} belongs to another user (uid ${stranger.uid}); a config names programs that pipit runs as you`,
    hint: 'Look at the config and at the plugins that it names; then add --trust, or let the files belong to you or to root.',
    recovery: 'stop',
  });
};

/** For the plugin loader: states which code of the config's own folder is about to run, and refuses a stranger's. */
export const announcePlugin =
  (session: Pick<Session, 'world' | 'options'>) =>
  async ({ uses, file }: { readonly uses: string; readonly file: string }): Promise<void> => {
    await requireOwn(session, file);
    // Beside the answer, also with --json: code must not run unseen.
    if (session.options.quiet !== true)
      session.world.stderr.write(`Loading the plugin ${JSON.stringify(uses)}: code of ${cleanLine(file)}\n`);
  };
