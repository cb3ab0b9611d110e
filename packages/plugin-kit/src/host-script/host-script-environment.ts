import { createHash } from 'node:crypto';
import type { AppName, ArtifactId, InstallSource, Labels, UnitName } from '@pipit/core';
import { PluginError } from '@pipit/core';

/** What one host is to install. */
export interface HostInstall {
  readonly app: AppName;
  /** The operation's key: the same key is the same install, and repeating it after success does nothing. */
  readonly key: string;
  /** The rollout's. */
  readonly sequence: number;
  readonly artifact: ArtifactId;
  /** Bytes of the package; twice that must be free on the host. Without it free space is not looked at. */
  readonly size?: number;
  readonly source: InstallSource & { readonly format: 'deb' };
  /** An absolute path without `/` at its end, for a host that is a folder of this machine; empty for a real host. Default: empty. */
  readonly root?: string;
  /** Restarted by systemd after the install, on a real host. Default: none. */
  readonly restart?: readonly UnitName[];
  /** How long another install on this host is waited for. Default: 60 seconds. */
  readonly lockWaitSeconds?: number;
}

/** Where the host script keeps what it knows, as absolute paths on the host. */
export interface HostScriptPaths {
  /** Held (flock) while an install of pipit's is at work on the host. */
  readonly lock: string;
  /** What is installed: see `parseHostReceipt`. */
  readonly receipt: string;
  /** How this try ended: see `parseHostOutcome`. Absent until then. */
  readonly outcome: string;
  /** All that apt-get and dpkg said in this try. */
  readonly log: string;
}

/** A key may hold anything; what names files is its hash. */
const idOf = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 32);

/** Characters that stand in JSON and in a log as they are. */
const PLAIN_KEY = /^[A-Za-z0-9._:/@+~-]{1,200}$/;

/** How a key is written into receipts: as it is, or its hash when it has characters that would have to be quoted. */
const writtenKey = (key: string): string => (PLAIN_KEY.test(key) ? key : `sha256-${idOf(key)}`);

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
const UNSAFE = /[\x00-\x1f\x7f"\\]/;

const plain = (what: string, value: string): string => {
  if (!UNSAFE.test(value)) return value;
  throw new PluginError({
    code: 'HOST_SCRIPT_VALUE_INVALID',
    message: `The ${what} ${JSON.stringify(value)} has a quote, a backslash or a control character`,
    hint: 'Choose another name or folder: apt could not read it in its own configuration.',
    recovery: 'stop',
  });
};

/** apt reads `%20` as a space in its source lists. Source: sources.list(5), ParseQuoteWord. */
const word = (value: string): string =>
  value.replace(/[%\s[\],=]/g, (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`);

const armouredBlocks = (keys: readonly string[]): readonly string[] =>
  keys.flatMap((text) => text.match(/-----BEGIN PGP PUBLIC KEY BLOCK-----[\s\S]*?-----END PGP PUBLIC KEY BLOCK-----/g) ?? []);

export const hostScriptPaths = (
  install: Pick<HostInstall, 'key' | 'root'> & { readonly artifact: Pick<ArtifactId, 'name'> },
): HostScriptPaths => {
  const state = `${install.root ?? ''}/var/lib/pipit`;
  const ofPackage = `${state}/${install.artifact.name}`;
  return {
    lock: `${state}/lock`,
    receipt: `${ofPackage}/receipt.json`,
    outcome: `${ofPackage}/outcomes/${idOf(install.key)}.json`,
    log: `${ofPackage}/outcomes/${idOf(install.key)}.log`,
  };
};

/**
 * All that the host script is told, as environment. The script's own text never varies, so that no value can become shell text.
 *
 * @throws PluginError `HOST_SCRIPT_VALUE_INVALID` (stop) for a path or source that apt could not read, `HOST_SOURCE_UNSIGNED` (stop) for a source without a key
 */
export const hostScriptEnvironment = (install: HostInstall): Labels => {
  const { app, artifact, source, root = '' } = install;
  const keys = armouredBlocks(source.keys);
  if (keys.length === 0)
    throw new PluginError({
      code: 'HOST_SOURCE_UNSIGNED',
      message: `The repository of ${app} gives no signing key, so its hosts could not tell its packages from anybody's`,
      hint: 'Let the repository plugin return the armoured public key in `keys`.',
      recovery: 'stop',
    });
  const keyrings = keys.map((_, index) => word(`${plain('root folder', root)}/etc/apt/keyrings/pipit-${app}-${index + 1}.asc`));
  const lines = source.uris.map((uri) =>
    plain(
      'source',
      ['deb', `[signed-by=${keyrings.join(',')}]`, uri.replaceAll(' ', '%20'), word(source.suite), ...source.components.map(word)].join(
        ' ',
      ),
    ),
  );
  return {
    PIPIT_ROOT: root,
    PIPIT_APP: app,
    PIPIT_PACKAGE: artifact.name,
    PIPIT_VERSION: artifact.version,
    PIPIT_DIGEST: artifact.digest,
    PIPIT_SEQUENCE: String(install.sequence),
    PIPIT_KEY: writtenKey(install.key),
    PIPIT_ID: idOf(install.key),
    PIPIT_SIZE: install.size === undefined ? '' : String(install.size),
    PIPIT_SOURCE: lines.join('\n'),
    PIPIT_KEYS: keys.join('\n'),
    PIPIT_RESTART: install.restart === undefined ? 'none' : 'systemd',
    PIPIT_SERVICES: (install.restart ?? []).join(' '),
    PIPIT_LOCK_WAIT_SECONDS: String(install.lockWaitSeconds ?? 60),
  };
};
