import { createHash } from 'node:crypto';
import {
  type AppName,
  type ArtifactId,
  assertNever,
  type HealthCheck,
  type HostAddress,
  type InstallSource,
  type Labels,
  PluginError,
  type UnitName,
} from '@pipit/core';
import { quoteForShell } from '../command/quote-for-shell.js';

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
  readonly source: InstallSource & { readonly format: 'deb' | 'rpm' };
  /** An absolute path without `/` at its end, for a host that is a folder of this machine; empty for a real host. Default: empty. */
  readonly root?: string;
  /** Whether the app may take the place of a package that is not pipit's. Default: no. */
  readonly takeOver?: boolean;
  /** Restarted by systemd after the install, on a real host. Default: none. */
  readonly restart?: readonly UnitName[];
  /** How long the install may take; what is still at work then is ended with all its processes. Default: 10 minutes. */
  readonly limitSeconds?: number;
  /** How long another install of pipit's on this host is waited for. Default: what an install may take, and a minute. */
  readonly lockWaitSeconds?: number;
  /** Asked on the host itself after the install, against this address of it. Default: none. */
  readonly check?: { readonly check: HealthCheck; readonly address: HostAddress };
  /** Pipit's clock: a host whose own is more than 5 minutes away refuses. Without it clocks are not compared. */
  readonly now?: Date;
}

/** Where the host script keeps what it knows, as absolute paths on the host. */
export interface HostScriptPaths {
  /** Held (flock) while an install of pipit's is at work on the host. */
  readonly lock: string;
  /** What is installed: see `parseHostReceipt`. */
  readonly receipt: string;
  /** What the newest install was to bring; it may not have ended. */
  readonly intent: string;
  /** How this try ended: see `parseHostOutcome`. Absent until then. */
  readonly outcome: string;
  /** All that apt-get and dpkg said in this try. */
  readonly log: string;
}

const DEFAULT_LIMIT_SECONDS = 600;

/** What names the files of a try on a host: a hash of the operation's key, which may hold anything. */
export const hostTryId = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 32);

/** Characters that stand in JSON and in a log as they are. */
const PLAIN_KEY = /^[A-Za-z0-9._:/@+~-]{1,200}$/;

/** How a key is written into receipts: as it is, or its hash when it has characters that would have to be quoted. */
const writtenKey = (key: string): string => (PLAIN_KEY.test(key) ? key : `sha256-${hostTryId(key)}`);

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

/** A path of a URL as it goes into a request line: what is not printable would end it. */
const REQUEST_PATH = /^\/[!-~]*$/;

/**
 * What a host is told of its health check: for the host script and for a look.
 *
 * @throws PluginError `HOST_SCRIPT_VALUE_INVALID` (stop) for an HTTP path with spaces or control characters
 */
export const healthCheckEnvironment = (asked: HostInstall['check']): Labels => {
  const none = {
    PIPIT_CHECK: 'none',
    PIPIT_CHECK_ADDRESS: '',
    PIPIT_CHECK_PORT: '',
    PIPIT_CHECK_PATH: '',
    PIPIT_CHECK_COMMAND: '',
    PIPIT_CHECK_WITHIN_SECONDS: '0',
  };
  if (asked === undefined) return none;
  const { check, address } = asked;
  const common = {
    ...none,
    PIPIT_CHECK: check.type,
    PIPIT_CHECK_ADDRESS: address,
    PIPIT_CHECK_WITHIN_SECONDS: String(Math.ceil(check.withinMs / 1000)),
  };
  switch (check.type) {
    case 'http':
      if (!REQUEST_PATH.test(check.path))
        throw new PluginError({
          code: 'HOST_SCRIPT_VALUE_INVALID',
          message: `The path ${JSON.stringify(check.path.slice(0, 200))} of the health check cannot stand in a request`,
          hint: 'Begin it with "/" and write other characters as %20 and so on.',
          recovery: 'stop',
        });
      return { ...common, PIPIT_CHECK_PORT: String(check.port), PIPIT_CHECK_PATH: check.path };
    case 'tcp':
      return { ...common, PIPIT_CHECK_PORT: String(check.port) };
    case 'command':
      return { ...common, PIPIT_CHECK_COMMAND: quoteForShell(check.argv) };
    default:
      return assertNever(check);
  }
};

/** Source: apt_auth.conf(5), which lets a machine begin with its scheme. */
const debAuth = ({ credentials, uris }: InstallSource & { readonly format: 'deb' }): string =>
  credentials === undefined || !('username' in credentials)
    ? ''
    : uris
        .filter((uri) => uri.startsWith('http'))
        .map((uri) => plain('source', `machine ${uri} login ${credentials.username} password ${credentials.password.reveal()}`))
        .join('\n');

const debSource = (app: AppName, source: InstallSource & { readonly format: 'deb' }, keys: number, root: string): string => {
  const keyrings = Array.from({ length: keys }, (_, index) =>
    word(`${plain('root folder', root)}/etc/apt/keyrings/pipit-${app}-${index + 1}.asc`),
  );
  const lines = source.uris.map((uri) =>
    plain(
      'source',
      ['deb', `[signed-by=${keyrings.join(',')}]`, uri.replaceAll(' ', '%20'), word(source.suite), ...source.components.map(word)].join(
        ' ',
      ),
    ),
  );
  return lines.join('\n');
};

/** A repository for dnf, disabled: only the host script enables it. Its index must be signed, and names the digests of the packages. */
const rpmSource = (app: AppName, source: InstallSource & { readonly format: 'rpm' }, keys: number): string => {
  const { credentials } = source;
  const lines = [
    `[pipit-${app}]`,
    `name=${app}, delivered by pipit`,
    plain('source', `baseurl=${source.baseUrl.replaceAll(' ', '%20')}`),
    'enabled=0',
    'repo_gpgcheck=1',
    'gpgcheck=0',
    // The distributions' own default would take a broken signature for a source that has nothing.
    'skip_if_unavailable=0',
    `gpgkey=${Array.from({ length: keys }, (_, index) => `file:///etc/pki/rpm-gpg/pipit-${app}-${index + 1}.asc`).join(' ')}`,
  ];
  if (credentials !== undefined && 'username' in credentials)
    lines.push(plain('source', `username=${credentials.username}`), plain('source', `password=${credentials.password.reveal()}`));
  return lines.join('\n');
};

/** Source: curl(1), `--config`. */
const rpmAuth = ({ credentials }: InstallSource): string =>
  credentials === undefined || !('username' in credentials)
    ? ''
    : plain('source', `user = ${credentials.username}:${credentials.password.reveal()}`);

export const hostScriptPaths = (
  install: Pick<HostInstall, 'key' | 'root'> & { readonly artifact: Pick<ArtifactId, 'name'> },
): HostScriptPaths => {
  const state = `${install.root ?? ''}/var/lib/pipit`;
  const ofPackage = `${state}/${install.artifact.name}`;
  return {
    lock: `${state}/lock`,
    receipt: `${ofPackage}/receipt.json`,
    intent: `${ofPackage}/intent.json`,
    outcome: `${ofPackage}/outcomes/${hostTryId(install.key)}.json`,
    log: `${ofPackage}/outcomes/${hostTryId(install.key)}.log`,
  };
};

/**
 * All that the host script is told, as environment. The script's own text never varies, so that no value can become shell text.
 *
 * @throws PluginError `HOST_SCRIPT_VALUE_INVALID` (stop) for a path or source that apt could not read, `HOST_SOURCE_UNSIGNED` (stop) for a source without a key
 */
export const hostScriptEnvironment = (install: HostInstall): Labels => {
  const { app, artifact, source, root = '', limitSeconds = DEFAULT_LIMIT_SECONDS } = install;
  const keys = armouredBlocks(source.keys);
  if (keys.length === 0)
    throw new PluginError({
      code: 'HOST_SOURCE_UNSIGNED',
      message: `The repository of ${app} gives no signing key, so its hosts could not tell its packages from anybody's`,
      hint: 'Let the repository plugin return the armoured public key in `keys`.',
      recovery: 'stop',
    });
  return {
    PIPIT_ROOT: root,
    PIPIT_APP: app,
    PIPIT_PACKAGE: artifact.name,
    PIPIT_VERSION: artifact.version,
    PIPIT_DIGEST: artifact.digest,
    PIPIT_SEQUENCE: String(install.sequence),
    PIPIT_KEY: writtenKey(install.key),
    PIPIT_ID: hostTryId(install.key),
    PIPIT_SIZE: install.size === undefined ? '' : String(install.size),
    PIPIT_TAKE_OVER: install.takeOver === true ? 'yes' : 'no',
    PIPIT_FORMAT: source.format,
    PIPIT_SOURCE: source.format === 'deb' ? debSource(app, source, keys.length, root) : rpmSource(app, source, keys.length),
    PIPIT_AUTH: source.format === 'deb' ? debAuth(source) : rpmAuth(source),
    PIPIT_KEYS: keys.join('\n'),
    PIPIT_RESTART: install.restart === undefined ? 'none' : 'systemd',
    PIPIT_SERVICES: (install.restart ?? []).join(' '),
    PIPIT_LIMIT_SECONDS: String(limitSeconds),
    PIPIT_LOCK_WAIT_SECONDS: String(install.lockWaitSeconds ?? limitSeconds + 60),
    PIPIT_NOW: install.now === undefined ? '' : String(Math.floor(install.now.getTime() / 1000)),
    ...healthCheckEnvironment(install.check),
  };
};
