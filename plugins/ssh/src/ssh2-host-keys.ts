import { appendFile, readFile } from 'node:fs/promises';
import { runOpenssh } from './run-openssh.js';
import { type Destination, homeOfUser } from './ssh2-destination.js';

/** A host's public key: its type, and the bytes that hold it in base64. */
export interface HostKey {
  readonly type: string;
  readonly key: string;
}

export interface KnownHostKeys {
  readonly keys: readonly HostKey[];
  readonly revoked: readonly HostKey[];
  /** Whether a certificate authority vouches for the host: ssh2 cannot look at certificates. */
  readonly byAuthority: boolean;
}

export interface HostKeyFiles {
  /** Where keys of new hosts are recorded, then what else is read. */
  readonly knownHosts: readonly string[];
  /** The instance's private folder. */
  readonly folder: string;
}

/** Reads the lines that `ssh-keygen -F` found; those with `#` are its own. */
export const parseKnownHosts = (found: string): KnownHostKeys => {
  const keys: HostKey[] = [];
  const revoked: HostKey[] = [];
  let byAuthority = false;
  for (const line of found.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const words = line.trim().split(/\s+/);
    const marker = words[0]?.startsWith('@') ? words.shift() : undefined;
    const [, type, key] = words;
    if (type === undefined || key === undefined) continue;
    if (marker === undefined) keys.push({ type, key });
    else if (marker === '@revoked') revoked.push({ type, key });
    else byAuthority = true;
  }
  return { keys, revoked, byAuthority };
};

/** The names that known_hosts may have for a host, first the one that is written for a new one. Source: ssh_config(5), HostKeyAlias; sshd(8). */
export const knownHostsNames = ({ hostname, port, hostKeyAlias }: Destination): readonly [string, ...string[]] => {
  if (hostKeyAlias !== undefined) return [hostKeyAlias];
  const name = hostname.toLowerCase();
  return port === 22 ? [name] : [`[${name}]:${port}`, name];
};

/** A line that names its hosts in full: not hashed, no pattern, without a marker. */
const PLAIN_LINE = /^\s*(?<names>[^\s|*?!@#]+)\s+[a-z][a-z0-9@.-]*\s+[A-Za-z0-9+/]+=*(?:\s|$)/;

/** The lines of a known_hosts file that name a host, where all of its lines are plain. Undefined: only OpenSSH itself can tell. */
export const plainKnownHosts = (text: string, name: string): string | undefined => {
  const found: string[] = [];
  for (const line of text.split('\n')) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const { names } = PLAIN_LINE.exec(line)?.groups ?? {};
    if (names === undefined) return undefined;
    if (names.toLowerCase().split(',').includes(name.toLowerCase())) found.push(line);
  }
  return found.join('\n');
};

/**
 * What the known_hosts files say of a host. Names may be hashed there, or patterns: OpenSSH's own program reads such files. Where all names are
 * written in full, as pipit records them, none is started: at hundreds of connections its starts are a quarter of what they cost.
 */
export const findHostKeys = async (destination: Destination, files: HostKeyFiles, signal: AbortSignal): Promise<KnownHostKeys> => {
  const paths = [...files.knownHosts, ...destination.globalKnownHosts].map((path) => path.replace(/^~(?=\/)/, homeOfUser()));
  // Most of these files are not there; one that cannot be read knows nobody, as with ssh.
  const texts = await Promise.all(paths.map(async (path) => ({ path, text: await readFile(path, 'latin1').catch(() => '') })));
  for (const name of knownHostsNames(destination)) {
    const found = await Promise.all(
      texts.map(
        async ({ path, text }) =>
          plainKnownHosts(text, name) ?? (await runOpenssh(['ssh-keygen', '-F', name, '-f', path], files.folder, signal)).stdout,
      ),
    );
    const known = parseKnownHosts(found.join('\n'));
    if (known.keys.length > 0 || known.revoked.length > 0 || known.byAuthority) return known;
  }
  return { keys: [], revoked: [], byAuthority: false };
};

/** Algorithms by which a server proves that it has a key of some type. */
const algorithmsOf = (type: string): readonly string[] => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type]);

/** Asks a host for the keys that are known of it, as ssh does: it may have others as well. */
export const orderHostKeyAlgorithms = (offered: readonly string[], { keys }: KnownHostKeys): readonly string[] => {
  const wanted = new Set(keys.flatMap(({ type }) => algorithmsOf(type)));
  const known = offered.filter((algorithm) => wanted.has(algorithm));
  return known.length > 0 ? known : offered;
};

/** The key that a host shows, from its bytes: a string of four bytes' length names its type. Source: RFC 4253, 6.6. */
export const parseHostKey = (bytes: Buffer): HostKey => ({
  type: bytes.subarray(4, 4 + bytes.readUInt32BE(0)).toString('latin1'),
  key: bytes.toString('base64'),
});

export type HostKeyJudgement = { readonly verdict: 'known' | 'new' } | { readonly verdict: 'refused'; readonly said: string };

/** Whether a shown key is the host's. `new`: nothing is known of the host, and its key may be recorded. The words are those of ssh. */
export const judgeHostKey = (
  shown: HostKey,
  { keys, revoked, byAuthority }: KnownHostKeys,
  hostKeys: 'strict' | 'record-new',
): HostKeyJudgement => {
  const isShown = ({ type, key }: HostKey): boolean => type === shown.type && key === shown.key;
  if (revoked.some(isShown))
    return { verdict: 'refused', said: `Host key verification failed: the ${shown.type} key that it shows is marked as revoked` };
  if (keys.some(isShown)) return { verdict: 'known' };
  if (keys.length > 0) return { verdict: 'refused', said: 'REMOTE HOST IDENTIFICATION HAS CHANGED\nHost key verification failed.' };
  if (byAuthority)
    return {
      verdict: 'refused',
      said: 'Host key verification failed: only a certificate authority is known for it, and `client: ssh2` reads no certificates: use `client: openssh`',
    };
  return hostKeys === 'record-new'
    ? { verdict: 'new' }
    : { verdict: 'refused', said: `No ${shown.type} host key is known for it\nHost key verification failed.` };
};

/** Adds a key to the file where those of new hosts are recorded. */
export const recordHostKey = (destination: Destination, { type, key }: HostKey, { knownHosts: [path] }: HostKeyFiles): Promise<void> =>
  path === undefined
    ? Promise.resolve()
    : appendFile(path, `${knownHostsNames(destination)[0]} ${type} ${key}\n`, { mode: 0o600, flush: true });
