import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { type Call, type Connection, type Host, PluginError, type Transport } from '@pipit/core';
import { exitCodeOf, runOnHost } from './run-on-host.js';
import type { SshClient } from './ssh-client.js';

/** $1 the file, $2 its mode or nothing, $3 a suffix, $4 the bytes that it has to have. Standard input is the content. */
const RECEIVE = [
  'umask 022',
  'mkdir -p -- "$(dirname -- "$1")" || exit 1',
  'umask 077',
  'temporary=$1.$3',
  'cat >"$temporary" || { rm -f -- "$temporary"; exit 1; }',
].join('\n');

const PLACE = [
  'temporary=$1.$3',
  `fail() { echo "$1" >&2; rm -f -- "$temporary"; exit 1; }`,
  `[ "$(wc -c <"$temporary")" -eq "$4" ] || fail 'only a part of the file arrived'`,
  `[ ! -d "$1" ] || fail 'there is a folder of that name'`,
  `chmod -- "$2" "$temporary" && mv -f -- "$temporary" "$1" || fail 'the file could not be put in its place'`,
].join('\n');

/** What a file gets that is made under the usual umask. */
const DEFAULT_MODE = 0o644;

/** Says with its exit code that there is no such file, and gives the bytes of one that is there. */
const NO_SUCH_FILE = 66;
const SEND = `[ -e "$1" ] || exit ${NO_SUCH_FILE}; exec cat -- "$1"`;

/** Says with its exit code that what is there is no plain file, or behind a link. */
const REFUSED = 67;
/**
 * $1 a folder in which code of a repository could write, the further ones the parts of a path below it. Each folder is entered and then
 * asked where it is, so that a link that is put there meanwhile shows too.
 */
const SEND_CONFINED = [
  'cd -P -- "$1" || exit 1',
  'place=$(pwd -P)',
  'shift',
  'while [ $# -gt 1 ]; do',
  `  [ -e "./$1" ] || [ -L "./$1" ] || exit ${NO_SUCH_FILE}`,
  `  cd -P -- "./$1" 2>/dev/null && place="\${place%/}/$1" && [ "$(pwd -P)" = "$place" ] || exit ${REFUSED}`,
  '  shift',
  'done',
  `[ ! -L "./$1" ] || exit ${REFUSED}`,
  `[ -e "./$1" ] || exit ${NO_SUCH_FILE}`,
  `[ -f "./$1" ] || exit ${REFUSED}`,
  'exec dd if="./$1" iflag=nofollow,nonblock bs=256K status=none',
].join('\n');
const fileError = (what: 'read' | 'written', path: string, host: Host, why: string): PluginError =>
  new PluginError({
    code: 'SSH_FILE_FAILED',
    message: `${path} on ${host.address} could not be ${what}: ${why.trim().slice(-300)}`,
    hint: 'Look at the free space there, and at what the user that logs in may do.',
    recovery: what === 'read' ? 'retry' : 'reconcile',
  });

/** `cat` and `mv` take a path that begins with `-` for a file when it does not stand alone. */
const absolute = (path: string): string => {
  if (path.startsWith('/')) return path;
  throw new PluginError({
    code: 'SSH_PATH_RELATIVE',
    message: `${JSON.stringify(path.slice(0, 200))} is no absolute path, and a connection has no folder`,
    recovery: 'stop',
  });
};

const readCommand = (path: string, below: string | undefined): readonly string[] => {
  const parts = below === undefined ? [] : posix.relative(below, path).split('/');
  if (below === undefined || parts[0] === '..' || parts[0] === '') return ['/bin/sh', '-c', SEND, 'sh', path];
  return ['/bin/sh', '-c', SEND_CONFINED, 'sh', absolute(below), ...parts];
};

/** Counts what passes. */
async function* counted(content: AsyncIterable<Uint8Array>, count: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of content) {
    count(chunk.length);
    yield chunk;
  }
}

/** Reaches hosts over ssh. Connections stay open for a while after a call ended, for the next. */
export const createSshTransport = (client: SshClient): Transport => ({
  async connect(host: Host, call: Call): Promise<Connection> {
    const { address } = host;
    // Opens the connection, so that a host that cannot be reached is known here.
    await runOnHost(client, address, { argv: ['true'] }, call);

    const write: Connection['write'] = async (path, content, { mode = DEFAULT_MODE } = {}) => {
      const target = absolute(path);
      const suffix = `pipit-${randomBytes(8).toString('hex')}`;
      const shape = (script: string): readonly string[] => ['/bin/sh', '-c', script, 'sh', target, mode.toString(8), suffix];
      const run = async (argv: readonly string[], input?: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> => {
        const { exitCode, stderr } = await runOnHost(client, address, { argv, ...(input === undefined ? {} : { input }) }, call);
        if (exitCode !== 0) throw fileError('written', path, host, stderr);
      };
      if (typeof content === 'string') {
        const bytes = Buffer.from(content);
        await run([...shape(`${RECEIVE}\n${PLACE}`), String(bytes.length)], bytes);
        return;
      }
      let size = 0;
      // In two steps: a connection that is cut off looks like the end of the content, and only pipit knows how long that is.
      await run(
        shape(RECEIVE),
        counted(content, (bytes) => {
          size += bytes;
        }),
      );
      await run([...shape(PLACE), String(size)]);
    };

    async function* read(path: string, { below }: { readonly below?: string } = {}): AsyncGenerator<Uint8Array> {
      const argv = readCommand(absolute(path), below);
      let said = '';
      const keep = (text: string): void => {
        said = (said + text).slice(-4096);
      };
      const session = await client.open(address, { argv, onErrorOutput: keep }, call);
      try {
        for await (const chunk of session.stdout) yield chunk as Uint8Array; // without an encoding the stream gives buffers
        const end = await session.ended;
        if (call.signal.aborted && end.state !== 'ended')
          throw new PluginError({
            code: 'COMMAND_ABORTED',
            message: `Reading ${path} of ${address} was cancelled`,
            recovery: 'reconcile',
            cause: call.signal.reason,
          });
        const exitCode = exitCodeOf(end, address, { argv });
        if (exitCode === NO_SUCH_FILE)
          throw new PluginError({ code: 'SHELL_FILE_NOT_FOUND', message: `There is no file ${path} on ${address}`, recovery: 'stop' });
        if (exitCode === REFUSED)
          throw new PluginError({
            code: 'SSH_FILE_REFUSED',
            message: `${path} on ${address} is no plain file, or lies behind a link`,
            hint: "Let the repository's scripts leave plain files and folders (cp --dereference).",
            recovery: 'stop',
          });
        if (exitCode !== 0) throw fileError('read', path, host, said);
      } finally {
        // Whoever stops reading early needs no more of it.
        session.kill();
      }
    }

    return {
      run: async (argv, { cwd, env, input, root, timeoutMs, onOutput } = {}) =>
        runOnHost(
          client,
          address,
          {
            argv,
            ...(cwd === undefined ? {} : { cwd: absolute(cwd) }),
            ...(env === undefined ? {} : { env }),
            ...(input === undefined ? {} : { input: Buffer.from(input) }),
            ...(root === undefined ? {} : { root }),
            ...(timeoutMs === undefined ? {} : { timeoutMs }),
            ...(onOutput === undefined ? {} : { onOutput }),
          },
          call,
        ),
      write,
      read,
      close: async () => undefined,
    };
  },
});
