import { userInfo } from 'node:os';
import { ConnectFailed } from './connector.js';
import { runOpenssh } from './run-openssh.js';

/** Where a connection goes and what it may use, as the machine's ssh reads it from all of its configuration. */
export interface Destination {
  readonly hostname: string;
  readonly port: number;
  readonly user: string;
  /** The name by which known_hosts has it, where it is not that of host and port. */
  readonly hostKeyAlias?: string;
  readonly globalKnownHosts: readonly string[];
  /** Files of private keys, which may not be there. */
  readonly identities: readonly string[];
  /** Whether the agent's keys are left out. */
  readonly identitiesOnly: boolean;
  readonly agent?: string;
  /** Hosts to go through, first to last, as ssh writes them. */
  readonly jump: readonly string[];
  readonly algorithms: Readonly<Record<'kex' | 'cipher' | 'hmac' | 'serverHostKey', readonly string[]>>;
}

/** What connects ssh2 has no way to do, by the option of ssh_config that asks for it. */
const BEYOND_SSH2 = ['proxycommand', 'certificatefile', 'pkcs11provider'] as const;

/** A path as `ssh -G` prints it: with `~` and tokens as they were written. */
const expandPath = (path: string, home: string): string =>
  path.replace(/^~(?=\/|$)/, home).replace(/%[%d]/g, (token) => (token === '%%' ? '%' : home));

const present = (value: string | undefined): string | undefined =>
  value === undefined || value === '' || value === 'none' ? undefined : value;

/**
 * Reads what `ssh -G` printed.
 *
 * @throws ConnectFailed when it asks for what only OpenSSH can do, or is not whole
 */
export const parseDestination = (printed: string, home: string): Destination => {
  const options = new Map<string, string[]>();
  for (const line of printed.split('\n')) {
    const at = line.indexOf(' ');
    if (at < 0) continue;
    const name = line.slice(0, at);
    options.set(name, [...(options.get(name) ?? []), line.slice(at + 1)]);
  }
  const one = (name: string): string | undefined => present(options.get(name)?.[0]);
  const list = (name: string, separator: string): readonly string[] => one(name)?.split(separator) ?? [];
  const needed = (name: string): string => {
    const value = one(name);
    if (value === undefined) throw new ConnectFailed(`Missing argument: ssh -G printed no ${name}`);
    return value;
  };
  for (const name of BEYOND_SSH2)
    if (one(name) !== undefined)
      throw new ConnectFailed(
        `unsupported option ${name} in the ssh_config, which \`client: ssh2\` cannot follow: use \`client: openssh\``,
      );
  const agent = one('identityagent');
  const alias = one('hostkeyalias');
  return {
    hostname: needed('hostname'),
    port: Number(needed('port')),
    user: needed('user'),
    ...(alias === undefined ? {} : { hostKeyAlias: alias }),
    globalKnownHosts: list('globalknownhostsfile', ' ').map((path) => expandPath(path, home)),
    identities: (options.get('identityfile') ?? []).filter((path) => path !== 'none').map((path) => expandPath(path, home)),
    identitiesOnly: one('identitiesonly') === 'yes',
    ...(agent === undefined || agent === 'SSH_AUTH_SOCK' ? {} : { agent: expandPath(agent, home) }),
    jump: list('proxyjump', ','),
    algorithms: {
      kex: list('kexalgorithms', ','),
      cipher: list('ciphers', ','),
      hmac: list('macs', ','),
      serverHostKey: list('hostkeyalgorithms', ','),
    },
  };
};

/** The home of whom pipit runs as, which is where ssh looks: not what HOME says. */
export const homeOfUser = (): string => userInfo().homedir;

/**
 * Asks the machine's ssh what its configuration says of a destination, so that `Host`, `Match` and `Include` mean what they mean there.
 *
 * @param ssh the program with the file of its configuration, then the arguments that name a destination
 * @throws ConnectFailed; PluginError `SSH_NOT_INSTALLED` (stop)
 */
export const readDestination = async (ssh: readonly string[], folder: string, signal: AbortSignal): Promise<Destination> => {
  const [program = 'ssh', ...args] = ssh;
  const { exitCode, stdout, stderr } = await runOpenssh([program, '-G', ...args], folder, signal);
  if (exitCode !== 0) throw new ConnectFailed(stderr);
  return parseDestination(stdout, homeOfUser());
};
