import type { SshConfig } from './config.js';

/** What the instance wrote into its private folder. */
export interface SshFiles {
  /** Folder of the control sockets. */
  readonly sockets: string;
  readonly identity?: string;
  /** Where keys of new hosts are recorded, then what else is read. */
  readonly knownHosts: readonly string[];
}

/** A path as ssh_config reads it: `%` begins a token there. The config's schema lets no quote pass. */
const path = (text: string): string => `"${text.replaceAll('%', '%%')}"`;

const seconds = (ms: number): string => String(Math.ceil(ms / 1000));

/**
 * The ssh_config that every call uses. A file and not options, so that it also holds for the jump hosts, to which ssh passes no options on.
 * ssh takes the first value that it reads, so what stands here goes before what the user's file says.
 */
export const renderSshConfig = (config: SshConfig, files: SshFiles): string => {
  const lines = [
    '# Written by pipit at each start.',
    'BatchMode yes',
    'ForwardAgent no',
    'ForwardX11 no',
    'PermitLocalCommand no',
    'RemoteCommand none',
    'RequestTTY no',
    'EscapeChar none',
    'LogLevel ERROR',
    `StrictHostKeyChecking ${config.hostKeys === 'strict' ? 'yes' : 'accept-new'}`,
    'UpdateHostKeys no',
    `UserKnownHostsFile ${files.knownHosts.map(path).join(' ')}`,
    'ControlMaster auto',
    `ControlPath ${path(files.sockets).slice(0, -1)}/%C"`,
    `ControlPersist ${seconds(config.persist)}`,
    'ConnectionAttempts 1',
    `ConnectTimeout ${seconds(config.connectTimeout)}`,
    `ServerAliveInterval ${seconds(config.keepAlive)}`,
    'ServerAliveCountMax 3',
  ];
  if (files.identity !== undefined) lines.push(`IdentityFile ${path(files.identity)}`, 'IdentitiesOnly yes');
  if (config.agent !== undefined) lines.push(`IdentityAgent ${path(config.agent)}`);
  if (config.sshConfig === undefined) lines.push('Include ~/.ssh/config', 'Include /etc/ssh/ssh_config');
  else if (config.sshConfig !== 'none') lines.push(`Include "${config.sshConfig}"`);
  return `${lines.join('\n')}\n`;
};

/** The arguments of ssh that name a host, without the command. */
export const destinationArguments = (config: Pick<SshConfig, 'user' | 'port' | 'jump'>, address: string): readonly string[] => [
  ...(config.user === undefined ? [] : ['-l', config.user]),
  ...(config.port === undefined ? [] : ['-p', String(config.port)]),
  ...(config.jump === undefined ? [] : ['-J', config.jump.join(',')]),
  '--',
  address,
];
