import { type Labels, PluginError } from '@pipit/core';
import { quoteForShell, SYSTEM_PATH } from '@pipit/plugin-kit';

/** Gives the command a clean environment; who logs in (or sudo) says only HOME. */
const CLEAN_ENVIRONMENT = `exec env -i HOME="$HOME" PATH=${SYSTEM_PATH} LANG=C.UTF-8 /bin/sh -c "$0" pipit "$@"`;

/**
 * Runs one command on the host: POSIX sh, and this text never varies. The command comes over standard input, so that neither its arguments
 * nor its environment show in the host's list of processes.
 *
 * - It says on standard error when it begins and how the command ended, so that an exit 255 of ssh is never taken for the command's.
 * - A header that is cut off is not run: it ends with the nonce.
 * - Standard input stays open until pipit has seen the end. If it closes before, pipit has gone or gave up, and the command's group is ended.
 */
export const REMOTE_WRAPPER = String.raw`
pipit_nonce=$1 pipit_size=$3
pipit_say() { printf '\036%s %s\n' "$pipit_nonce" "$*" >&2; }
pipit_say begin
pipit_header=$(head -c "$2")
case $pipit_header in *"#$pipit_nonce") ;; *) exit 255 ;; esac
eval "$pipit_header"
if [ "$pipit_root" = yes ] && [ "$(id -u)" != 0 ]; then pipit_say end noroot; exit 0; fi
if [ -n "$pipit_folder" ] && ! cd -- "$pipit_folder" 2>/dev/null; then pipit_say end nofolder; exit 0; fi
if ! command -v "$1" >/dev/null 2>&1; then pipit_say end noprogram; exit 0; fi
if [ "$pipit_size" = stream ]; then
  ( exec "$@" )
  pipit_say end "$?"
  exit 0
fi
exec 3<&0 4>&1
{
  [ "$pipit_size" = 0 ] || head -c "$pipit_size" <&3
  exec >&-
  while read -r pipit_word <&3; do [ "$pipit_word" = "$pipit_nonce" ] && exit 0; done
  trap '' TERM
  kill -TERM 0
  sleep 5
  kill -KILL 0
} 4>&- | {
  ( exec "$@" 3<&- >&4 4>&- )
  pipit_say end "$?"
}
`;

export interface RemoteCommand {
  readonly argv: readonly string[];
  /** Absolute; the home of who runs it without it. */
  readonly cwd?: string;
  readonly env?: Labels;
  /** Run as root. */
  readonly root?: boolean;
  /** Whole, or a stream whose end is the end of standard input. Default: empty. */
  readonly input?: Uint8Array | AsyncIterable<Uint8Array>;
}

/** What goes to ssh: the last argument, and what is written first. */
export interface WrappedCommand {
  readonly text: string;
  readonly header: Uint8Array;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

const assignment = (name: string, value: string): string => {
  if (!NAME.test(name))
    throw new PluginError({
      code: 'SSH_VARIABLE_INVALID',
      message: `${JSON.stringify(name.slice(0, 100))} cannot be the name of an environment variable on a host`,
      hint: 'Use letters, digits and "_".',
      recovery: 'stop',
    });
  return `${name}=${quoteForShell([value])}`;
};

/**
 * A command as it goes over ssh. All that varies passes `quoteForShell`.
 *
 * @param nonce 32 hexadecimal characters that nobody can guess
 * @throws PluginError `SSH_VARIABLE_INVALID`, `ARGUMENT_HAS_NUL` (stop)
 */
export const wrapCommand = (command: RemoteCommand, options: { readonly nonce: string; readonly sudo: boolean }): WrappedCommand => {
  const { argv, cwd = '', env = {}, input, root = false } = command;
  const variables = Object.entries(env).map(([name, value]) => `export ${assignment(name, value)}`);
  const header = Buffer.from(
    [
      ...variables,
      assignment('pipit_folder', cwd),
      assignment('pipit_root', root ? 'yes' : 'no'),
      // Quoted as arguments of set, the command's words become exactly $1, $2 and so on.
      `set -- ${quoteForShell(argv)}`,
      `#${options.nonce}`,
    ].join('\n'),
  );
  const size = input === undefined ? '0' : input instanceof Uint8Array ? String(input.length) : 'stream';
  const shell = ['/bin/sh', '-c', CLEAN_ENVIRONMENT, REMOTE_WRAPPER, options.nonce, String(header.length), size];
  return { text: quoteForShell(root && options.sudo ? ['sudo', '-n', '--', ...shell] : shell), header };
};
