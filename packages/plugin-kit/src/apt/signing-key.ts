import { PluginError, type RunResult, type Shell } from '@pipit/core';
import { isArmouredKey } from './armoured-key.js';

/** The key that signs, at the place where the repository works. */
export interface RepositoryKey {
  /** The fingerprint, or the id that the config says. */
  readonly id: string;
  readonly gnupgHome: string;
  /** Its armoured public half. */
  readonly publicKey: string;
}

export interface RepositoryKeyOptions {
  readonly shell: Shell;
  readonly root: string;
  /** `create`, or the id of a key that is in `gnupgHome`. */
  readonly key: string;
  readonly gnupgHome?: string;
}

const FINGERPRINT_FILE = 'pipit-fingerprint';

const failed = (what: string, result: RunResult): PluginError =>
  new PluginError({
    code: 'REPOSITORY_KEY_NOT_MADE',
    message: `${what} failed (exit ${result.exitCode}): ${result.stderr.trim().split('\n').at(-1) ?? ''}`,
    hint: "The config's `root` must be writable for the user that the repository's tool runs as, on a disk that has space, and its host must have gnupg.",
    recovery: 'retry',
  });

const must = async (shell: Shell, argv: readonly string[], gnupgHome?: string): Promise<string> => {
  const result = await shell.run(argv, gnupgHome === undefined ? {} : { env: { GNUPGHOME: gnupgHome } });
  if (result.exitCode !== 0) throw failed(argv[0] ?? '', result);
  return result.stdout;
};

/** Ends the agent that gpg leaves running for a home of the plugin's own. */
export const endGpgAgent = async (shell: Shell, gnupgHome: string): Promise<void> => {
  await shell.run(['gpgconf', '--kill', 'gpg-agent'], { env: { GNUPGHOME: gnupgHome } });
};

const makeKey = async (shell: Shell, home: string): Promise<void> => {
  // Made in a folder beside and renamed: a half-made key is never used.
  const temporary = `${home}.new`;
  await endGpgAgent(shell, temporary);
  await must(shell, ['rm', '-rf', '--', temporary]);
  await must(shell, ['mkdir', '-m', '700', '--', temporary]);
  try {
    const parameters = ['--passphrase', '', '--quick-generate-key', 'pipit repository', 'ed25519', 'sign', 'never'];
    await must(shell, ['gpg', '--batch', '--quiet', ...parameters], temporary);
    const listed = await must(shell, ['gpg', '--batch', '--with-colons', '--list-secret-keys'], temporary);
    const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '';
    await shell.write(`${temporary}/${FINGERPRINT_FILE}`, `${fingerprint}\n`);
  } finally {
    await endGpgAgent(shell, temporary);
  }
  await must(shell, ['mv', '-T', '--', temporary, home]);
};

const readFingerprint = async (shell: Shell, home: string): Promise<string | undefined> => {
  const result = await shell.run(['cat', '--', `${home}/${FINGERPRINT_FILE}`]);
  return result.exitCode === 0 ? result.stdout.trim() : undefined;
};

/** @throws PluginError `REPOSITORY_KEY_MISSING` (stop) */
export const exportPublicKey = async (shell: Shell, id: string, gnupgHome: string): Promise<string> => {
  const exported = await shell.run(['gpg', '--batch', '--armor', '--export', '--', id], { env: { GNUPGHOME: gnupgHome } });
  if (exported.exitCode === 0 && isArmouredKey(exported.stdout)) return exported.stdout;
  throw new PluginError({
    code: 'REPOSITORY_KEY_MISSING',
    message: `There is no key ${id} in ${gnupgHome}`,
    hint: "Import the key there for the user that the repository's tool runs as, or correct the config's `key` and `gnupgHome`.",
    recovery: 'stop',
  });
};

/** The signing key; with `create` it is made on the first call. */
export const ensureRepositoryKey = async ({ shell, root, key, gnupgHome }: RepositoryKeyOptions): Promise<RepositoryKey> => {
  if (key !== 'create') {
    const home = gnupgHome ?? `${root}/gnupg`;
    return { id: key, gnupgHome: home, publicKey: await exportPublicKey(shell, key, home) };
  }
  const home = `${root}/gnupg`;
  if ((await readFingerprint(shell, home)) === undefined) await makeKey(shell, home);
  const id = await readFingerprint(shell, home);
  return { id: id ?? '', gnupgHome: home, publicKey: await exportPublicKey(shell, id ?? '', home) };
};
