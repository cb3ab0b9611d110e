import { PluginError, type Shell } from '@pipit/core';

/** What of a freight.conf matters to pipit. */
export interface FreightConf {
  /** For `-c`. */
  readonly path: string;
  /** The library: what `add` fills. */
  readonly varlib: string;
  /** The cache: what hosts read. */
  readonly varcache: string;
  /** Of the hosts. */
  readonly architectures: readonly string[];
  /** Ids or mail addresses of the keys that sign. */
  readonly keys: readonly string[];
}

const FIELDS = ['VARLIB', 'VARCACHE', 'ARCHS', 'GPG'] as const;

/**
 * A freight.conf is a shell script, so a shell reads it, as Freight does: with nothing of the environment, and what it prints thrown away.
 * `$1` is the file. It is the administrator's own file, and no part of it comes from a delivered repository.
 */
const READ_CONF = `ARCHS='i386 amd64'; unset VARLIB VARCACHE GPG
. "$1" >/dev/null 2>&1 </dev/null || exit 3
printf 'VARLIB=%s\\nVARCACHE=%s\\nARCHS=%s\\nGPG=%s\\n' "$VARLIB" "$VARCACHE" "$ARCHS" "$GPG"`;

const words = (text: string): readonly string[] => text.split(/\s+/).filter((word) => word !== '');
const isPlainFolder = (path: string): boolean => /^\/[A-Za-z0-9/._+@-]+$/.test(path);

/**
 * Reads a freight.conf at the place of the shell.
 *
 * @throws PluginError `FREIGHT_CONF_UNREADABLE`, `FREIGHT_CONF_INCOMPLETE` (stop)
 */
export const readFreightConf = async (shell: Shell, path: string): Promise<FreightConf> => {
  const read = await shell.run(['env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'sh', '-c', READ_CONF, 'sh', path], { cwd: '/' });
  if (read.exitCode !== 0)
    throw new PluginError({
      code: 'FREIGHT_CONF_UNREADABLE',
      message: `The file ${path} cannot be read as a freight.conf (exit ${read.exitCode}): ${read.stderr.trim().split('\n').at(-1) ?? ''}`,
      hint: `Look whether it is there, and try it: sh -n ${path}`,
      recovery: 'stop',
    });
  const value = (name: (typeof FIELDS)[number]): string => new RegExp(`^${name}=(.*)$`, 'm').exec(read.stdout)?.[1] ?? '';
  const [varlib, varcache] = [value('VARLIB').replace(/\/$/, ''), value('VARCACHE').replace(/\/$/, '')];
  const keys = words(value('GPG'));
  const missing = [
    ...(isPlainFolder(varlib) ? [] : ['VARLIB']),
    ...(isPlainFolder(varcache) ? [] : ['VARCACHE']),
    ...(keys.length > 0 && keys.every((key) => !key.startsWith('-')) ? [] : ['GPG']),
  ];
  if (missing.length > 0)
    throw new PluginError({
      code: 'FREIGHT_CONF_INCOMPLETE',
      message: `${path} does not set ${missing.join(', ')}`,
      hint: 'Set VARLIB and VARCACHE to absolute paths without spaces, and GPG to the id of the signing key.',
      recovery: 'stop',
    });
  return { path, varlib, varcache, architectures: words(value('ARCHS')), keys };
};

/** The freight.conf that the plugin makes for a folder of its own. */
export const renderFreightConf = (root: string, key: string, architectures: readonly string[]): string =>
  [
    '# Made by pipit: what is changed here is written anew.',
    `VARLIB="${root}/lib"`,
    `VARCACHE="${root}/cache"`,
    `ARCHS="${architectures.join(' ')}"`,
    `GPG="${key}"`,
    'ORIGIN="pipit"',
    'LABEL="pipit"',
    'CACHE="off"',
    'SYMLINKS="off"',
    '',
  ].join('\n');
