import { type Labels, PluginError } from '@pipit/core';
import { quoteForShell, SYSTEM_PATH } from '@pipit/plugin-kit';

/** Gives the command a clean environment; who logs in (or sudo) says only HOME. */
const CLEAN = `exec env -i HOME="$HOME" PATH=${SYSTEM_PATH} LANG=C.UTF-8 /bin/sh -c`;

/** Up to here a shell's own `read`, a byte at a time, is faster than starting `head`. */
const READ_BY_SHELL_BYTES = 2_048;

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
if [ "$2" -gt ${READ_BY_SHELL_BYTES} ]; then
  pipit_header=$(head -c "$2")
else
  pipit_header=
  while IFS= read -r pipit_line; do
    pipit_header="$pipit_header$pipit_line
"
    [ "$pipit_line" = "#$pipit_nonce" ] && break
  done
fi
case $pipit_header in *"#$pipit_nonce"*) ;; *) exit 255 ;; esac
eval "$pipit_header"
if [ "$pipit_root" = yes ] && [ "$(id -u)" != 0 ]; then pipit_say end noroot; exit 0; fi
if [ -n "$pipit_folder" ] && ! cd -- "$pipit_folder" 2>/dev/null; then pipit_say end nofolder; exit 0; fi
if ! command -v "$1" >/dev/null 2>&1; then pipit_say end noprogram; exit 0; fi
if [ "$pipit_size" = stream ]; then
  ( exec "$@" )
  pipit_say end "$?"
  exit 0
fi
pipit_watch() {
  while read -r pipit_word; do [ "$pipit_word" = "$pipit_nonce" ] && exit 0; done
  trap '' TERM
  kill -TERM 0
  sleep 5
  kill -KILL 0
}
exec 3<&0
if [ "$pipit_size" = 0 ]; then
  pipit_watch <&3 >/dev/null 2>&1 &
  ( exec "$@" 3<&- ) </dev/null
  pipit_say end "$?"
  wait
  exit 0
fi
exec 4>&1
{
  head -c "$pipit_size" <&3
  exec >&-
  pipit_watch <&3
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
 * @param options.nonce 32 hexadecimal characters that nobody can guess
 * @param options.isRoot whether root is who logs in
 * @throws PluginError `SSH_VARIABLE_INVALID`, `ARGUMENT_HAS_NUL` (stop)
 */
export const wrapCommand = (
  command: RemoteCommand,
  options: { readonly nonce: string; readonly sudo: boolean; readonly isRoot: boolean },
): WrappedCommand => {
  const { argv, cwd = '', env = {}, input, root = false } = command;
  const variables = Object.entries(env).map(([name, value]) => `export ${assignment(name, value)}`);
  const header = Buffer.from(
    [
      ...variables,
      assignment('pipit_folder', cwd),
      // Whether it is root is looked at where nothing says so.
      assignment('pipit_root', root && !options.sudo && !options.isRoot ? 'yes' : 'no'),
      // Quoted as arguments of set, the command's words become exactly $1, $2 and so on.
      `set -- ${quoteForShell(argv)}`,
      `#${options.nonce}\n`,
    ].join('\n'),
  );
  const size = input === undefined ? '0' : input instanceof Uint8Array ? String(input.length) : 'stream';
  const told = quoteForShell([REMOTE_WRAPPER, 'pipit', options.nonce, String(header.length), size]);
  const text = `${CLEAN} ${told}`;
  return { text: root && options.sudo ? quoteForShell(['sudo', '-n', '--', '/bin/sh', '-c', text]) : text, header };
};
