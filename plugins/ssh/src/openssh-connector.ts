import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import type { SshConfig } from './config.js';
import type { Carrier, CarrierEnd, Connector } from './connector.js';
import { destinationArguments } from './ssh-config-file.js';

export interface OpensshConnectorOptions {
  readonly config: SshConfig;
  /** The instance's private folder, where ssh runs. */
  readonly folder: string;
  /** The file that `renderSshConfig` gave. */
  readonly configFile: string;
  /** Folder of the control sockets. */
  readonly sockets: string;
}

/** Control commands speak only with a process of this machine. */
const CONTROL_TIMEOUT_MS = 3_000;
const EXIT_TOGETHER = 16;
/** How long messages are waited for after ssh's end: a connection that stays open for others may hold their pipe for as long. */
const MESSAGES_MS = 1_000;
const KILL_AFTER_MS = 2_000;

/** A child's standard output is a socket, which counts what it has read. */
const countRead = (stream: Readable): number => ('bytesRead' in stream && typeof stream.bytesRead === 'number' ? stream.bytesRead : 0);

/** Starts one ssh in a process group of its own. A connection that it opened for others as well lives on in a process that is no child of it. */
const startSsh = (argv: readonly string[], folder: string): Carrier => {
  const [program = 'ssh', ...args] = argv;
  const child = spawn(program, args, { cwd: folder, env: { ...minimalEnvironment(folder) }, detached: true, stdio: 'pipe' });
  const { stdin, stdout, stderr } = child;
  let last: NodeJS.Timeout | undefined;

  const signalGroup = (by: NodeJS.Signals): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, by);
    } catch {
      // It ended between the two lines.
    }
  };
  const closed = new Promise<CarrierEnd>((resolve) => {
    const finish = (end: CarrierEnd): void => {
      clearTimeout(last);
      resolve(end);
    };
    child.once('error', (cause) => finish({ state: 'notstarted', cause }));
    child.once('exit', () => {
      clearTimeout(last);
      // In a busy process the time may be over before what stands in the pipe was looked at: a turn of the event loop reads it.
      last = setTimeout(() => setImmediate(() => stderr.destroy()), MESSAGES_MS);
    });
    child.once('close', (code, by) => finish({ state: 'closed', exitCode: by === null ? (code ?? 255) : 255 }));
  });
  return {
    stdin,
    stdout,
    stderr,
    readBytes: () => countRead(stdout),
    kill: () => {
      signalGroup('SIGTERM');
      last ??= setTimeout(() => signalGroup('SIGKILL'), KILL_AFTER_MS);
    },
    closed,
  };
};

/** The machine's own ssh, one a command, with connections shared by ControlMaster. */
export const createOpensshConnector = ({ config, folder, configFile, sockets }: OpensshConnectorOptions): Connector => {
  const ssh = [config.program, '-F', configFile];

  const control = async (argv: readonly string[]): Promise<void> => {
    // What is not open any more needs no closing.
    await runCommand(argv, { cwd: folder, env: minimalEnvironment(folder), timeoutMs: CONTROL_TIMEOUT_MS }).catch(() => undefined);
  };

  return {
    start: (address, text) => startSsh([...ssh, ...destinationArguments(config, address), text], folder),
    forget: (address) => control([...ssh, '-O', 'exit', ...destinationArguments(config, address)]),
    dispose: async () => {
      const names = (await readdir(sockets).catch(() => [])).filter((name) => /^[0-9a-f]{40}$/.test(name));
      for (let at = 0; at < names.length; at += EXIT_TOGETHER)
        await Promise.all(
          names.slice(at, at + EXIT_TOGETHER).map((name) => control([...ssh, '-O', 'exit', '-S', join(sockets, name), '--', 'closing'])),
        );
    },
  };
};
