import { constants } from 'node:os';
import { type Call, type HostAddress, type OutputStream, PluginError, type RunResult } from '@pipit/core';
import { createOutputTail } from '@pipit/plugin-kit';
import type { RemoteCommand } from './remote-wrapper.js';
import type { OpenSession, SshClient } from './ssh-client.js';
import type { SessionEnd } from './ssh-session.js';

export interface RunOnHostOptions extends RemoteCommand {
  readonly timeoutMs?: number;
  readonly tries?: number;
  readonly onOutput?: (text: string, from: OutputStream) => void;
}

export type HostCall = Pick<Call, 'signal' | 'random' | 'logger'>;

/**
 * The exit code of a command that ended, or what its end means.
 *
 * @throws PluginError `COMMAND_NOT_FOUND`, `COMMAND_FOLDER_MISSING`, `SSH_ROOT_REFUSED` (stop), `SSH_CONNECTION_LOST` (reconcile)
 */
export const exitCodeOf = (end: SessionEnd, address: HostAddress, command: RemoteCommand): number => {
  const [program = ''] = command.argv;
  if (end.state !== 'ended')
    throw new PluginError({
      code: 'SSH_CONNECTION_LOST',
      message: `The connection to ${address} was lost while ${program} ran there${'said' in end && end.said !== '' ? `: ${end.said}` : ''}`,
      hint: 'Look whether the host or the network was restarted; pipit looks what was done before it goes on.',
      recovery: 'reconcile',
    });
  switch (end.said) {
    case 'noprogram':
      throw new PluginError({
        code: 'COMMAND_NOT_FOUND',
        message: `There is no program ${program} on ${address}`,
        hint: `Install it on ${address}.`,
        recovery: 'stop',
      });
    case 'nofolder':
      throw new PluginError({
        code: 'COMMAND_FOLDER_MISSING',
        message: `${program} cannot run in ${command.cwd ?? ''} on ${address}: there is no such folder`,
        recovery: 'stop',
      });
    case 'noroot':
      throw new PluginError({
        code: 'SSH_ROOT_REFUSED',
        message: `${program} needs root on ${address}, and the user that logs in is not root`,
        hint: 'Set `sudo: true` (see the README for the line in sudoers), or log in as root.',
        recovery: 'stop',
      });
    default:
      return Number(end.said);
  }
};

const KILLED = 128 + constants.signals.SIGKILL;

/** Runs one command on a host to its end. A non-zero exit is a result. */
export const runOnHost = async (
  client: SshClient,
  address: HostAddress,
  { timeoutMs, onOutput, ...command }: RunOnHostOptions,
  call: HostCall,
): Promise<RunResult> => {
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const signal = timeout === undefined ? call.signal : AbortSignal.any([call.signal, timeout]);
  const [program = ''] = command.argv;
  const stopped = (): PluginError =>
    call.signal.aborted
      ? new PluginError({
          code: 'COMMAND_ABORTED',
          message: `${program} on ${address} was cancelled`,
          recovery: 'reconcile',
          cause: call.signal.reason,
        })
      : new PluginError({
          code: 'COMMAND_TIMED_OUT',
          message: `${program} on ${address} ran longer than ${timeoutMs} ms and was ended`,
          recovery: 'reconcile',
        });
  const errorTail = createOutputTail();
  const outputTail = createOutputTail();
  const decoder = new TextDecoder();
  const open = async (): Promise<OpenSession> => {
    try {
      return await client.open(
        address,
        {
          ...command,
          onErrorOutput: (text) => {
            errorTail.add(Buffer.from(text));
            onOutput?.(text, 'stderr');
          },
        },
        { ...call, signal },
      );
    } catch (thrown) {
      throw signal.aborted ? stopped() : thrown;
    }
  };
  const session = await open();
  session.stdout.on('data', (chunk: Buffer) => {
    outputTail.add(chunk);
    const text = onOutput === undefined ? '' : decoder.decode(chunk, { stream: true });
    if (text !== '') onOutput?.(text, 'stdout');
  });
  const end = await session.ended;
  if (signal.aborted && end.state !== 'ended') throw stopped();
  const exitCode = exitCodeOf(end, address, command);
  return { exitCode: Number.isInteger(exitCode) ? exitCode : KILLED, stdout: outputTail.text(), stderr: errorTail.text() };
};
