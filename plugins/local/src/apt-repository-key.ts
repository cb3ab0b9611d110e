import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PluginError } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { syncFolder, writeWhole } from './write-whole.js';

/** A Unix socket's path has 108 bytes; gpg-agent's longest name below its home is `S.gpg-agent.browser`. Source: unix(7). */
const MAX_HOME_LENGTH = 85;

export interface SigningKey {
  /** The armoured public key. Made with its secret half on the first call. The caller holds the repository's lock. */
  ensure(signal: AbortSignal): Promise<string>;
  /** The armoured public key, if there is one already. */
  read(): Promise<string | undefined>;
  /** Writes `target`: the text of `source` with its signature around it. */
  clearsign(source: string, target: string, signal: AbortSignal): Promise<void>;
  /** Ends the agent that gpg started. */
  dispose(): Promise<void>;
}

/** Anybody may have put a link or a folder there first: the folder above is everybody's. */
const assertOwn = async (folder: string): Promise<void> => {
  const found = await lstat(folder);
  if (found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0) return;
  throw new PluginError({
    code: 'REPOSITORY_SIGNING_FAILED',
    message: `${folder}, through which gpg is to reach its keys, is not a folder that only this user can enter`,
    hint: 'Look who made it, and remove it; pipit makes it again.',
    recovery: 'stop',
  });
};

/** gpg with a home of its own in `folder`; no passphrase, because pipit signs without anybody there. */
export const createSigningKey = (folder: string): SigningKey => {
  const publicKey = join(folder, 'public.asc');
  const shortFolder = join(
    tmpdir(),
    `pipit-gpg-${process.getuid?.() ?? 0}-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`,
  );
  let usedShortHome = false;

  // gpg puts its agent's sockets beside its home's path as it is told: a short link to a long folder fits.
  const homeOf = async (home: string): Promise<string> => {
    if (home.length <= MAX_HOME_LENGTH) return home;
    await mkdir(shortFolder, { recursive: true, mode: 0o700 });
    await assertOwn(shortFolder);
    const link = join(shortFolder, 'h');
    await rm(link, { force: true });
    await symlink(home, link);
    usedShortHome = true;
    return link;
  };

  const run = async (argv: readonly string[], home: string, signal?: AbortSignal): Promise<string> => {
    const result = await runCommand(argv, {
      cwd: '/',
      env: { ...minimalEnvironment(home), GNUPGHOME: home },
      ...(signal === undefined ? {} : { signal }),
    });
    if (result.exitCode === 0) return result.stdout;
    throw new PluginError({
      code: 'REPOSITORY_SIGNING_FAILED',
      message: `${argv[0]} failed (exit ${result.exitCode}): ${result.stderr.trim().split('\n').at(-1) ?? ''}`,
      hint: `Look at the folder ${folder}: it must be writable, of mode 0700, and on a disk that has space.`,
      recovery: 'retry',
    });
  };

  const endAgent = async (home: string): Promise<void> => {
    await run(['gpgconf', '--kill', 'gpg-agent'], home);
  };

  const make = async (signal: AbortSignal): Promise<void> => {
    // Made in a folder beside and renamed: a half-made key is never used.
    const temporary = `${folder}.new`;
    if (existsSync(temporary)) {
      // Of a call that was killed: its agent would outlive its folder.
      await endAgent(await homeOf(temporary));
      await rm(temporary, { recursive: true, force: true });
    }
    await mkdir(temporary, { recursive: true, mode: 0o700 });
    const home = await homeOf(temporary);
    try {
      await run(
        ['gpg', '--batch', '--quiet', '--passphrase', '', '--quick-generate-key', 'pipit repository', 'ed25519', 'sign', 'never'],
        home,
        signal,
      );
      await writeWhole(join(temporary, 'public.asc'), await run(['gpg', '--batch', '--armor', '--export'], home, signal));
    } finally {
      await endAgent(home);
    }
    await rename(temporary, folder);
    await syncFolder(join(folder, '..'));
  };

  const read = async (): Promise<string | undefined> => (existsSync(publicKey) ? readFile(publicKey, 'utf8') : undefined);

  return {
    read,
    async ensure(signal) {
      if (!existsSync(publicKey)) await make(signal);
      return readFile(publicKey, 'utf8');
    },
    async clearsign(source, target, signal) {
      const home = await homeOf(folder);
      await run(['gpg', '--batch', '--yes', '--quiet', '--digest-algo', 'SHA256', '--clearsign', '--output', target, source], home, signal);
    },
    async dispose() {
      if (existsSync(folder)) await endAgent(await homeOf(folder));
      if (usedShortHome) await rm(shortFolder, { recursive: true, force: true });
    },
  };
};
