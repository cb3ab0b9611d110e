import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Call, type HostAddress, PluginError } from '@pipit/core';
import type { SshConfig } from './config.js';
import { classifyFailure } from './connection-failure.js';
import { createConnectionSlots, type Release } from './connection-slots.js';
import { ConnectFailed, type Connector } from './connector.js';
import { type RemoteCommand, wrapCommand } from './remote-wrapper.js';
import { sshNotInstalled } from './ssh-not-installed.js';
import { type Session, type SessionEnd, startSession } from './ssh-session.js';

export interface SshClientOptions {
  readonly config: SshConfig;
  readonly connector: Connector;
}

export interface OpenOptions extends RemoteCommand {
  readonly onErrorOutput?: (text: string) => void;
  /** How often a host that does not answer is tried. Default: the config's `tries`. */
  readonly tries?: number;
}

/** A command under way on a host; its slot is given back when it ended. */
export type OpenSession = Pick<Session, 'stdout' | 'ended' | 'kill'>;

type SshCall = Pick<Call, 'signal' | 'random' | 'logger'>;

/** What every kind of this plugin reaches hosts by. */
export interface SshClient {
  /**
   * Starts a command on a host; resolves when it has begun there.
   *
   * @throws PluginError `SSH_UNREACHABLE`, `SSH_CONNECTION_DROPPED` (retry) after the last try; `SSH_HOST_KEY_CHANGED`, `SSH_HOST_KEY_UNKNOWN`,
   * `SSH_LOGIN_REFUSED`, `SSH_CONFIG_INVALID`, `SSH_SUDO_REFUSED`, `SSH_SHELL_BROKEN`, `SSH_NOT_INSTALLED` (stop); `COMMAND_ABORTED` (reconcile)
   */
  open(address: HostAddress, command: OpenOptions, call: SshCall): Promise<OpenSession>;
  /** Closes every connection that stays open. */
  dispose(): Promise<void>;
}

/** Backoff between tries: this, doubled each time, times 0.5 to 1.5. */
const FIRST_WAIT_MS = 400;

const abortedError = (address: string, signal: AbortSignal): PluginError =>
  new PluginError({
    code: 'COMMAND_ABORTED',
    message: `A command on ${address} was cancelled`,
    recovery: 'reconcile',
    cause: signal.reason,
  });

/** Runs commands on hosts: within the limits of what is open at once, tried again where that may help. */
export const createSshClient = ({ config, connector }: SshClientOptions): SshClient => {
  const total = createConnectionSlots(config.connections.total);
  const byHost = new Map<string, ReturnType<typeof createConnectionSlots>>();
  /** The first connection to a host, or through the jump hosts; others wait for it, so that they share it. */
  const firstContacts = new Map<string, Promise<void>>();
  const beginWithinMs = config.connectTimeout * (2 + (config.jump?.length ?? 0));

  const acquire = async (address: string, signal: AbortSignal): Promise<Release> => {
    const slots = byHost.get(address) ?? createConnectionSlots(config.connections.perHost);
    byHost.set(address, slots);
    const ofHost = await slots.acquire(signal);
    try {
      const ofAll = await total.acquire(signal);
      return () => {
        ofAll();
        ofHost();
      };
    } catch (thrown) {
      ofHost();
      throw thrown;
    }
  };

  /** Lets one call through alone until its command has begun, where nothing is open yet. */
  const contactInTurn = async <T>(key: string, contact: () => Promise<T>): Promise<T> => {
    const first = firstContacts.get(key);
    if (first !== undefined) {
      await first;
      return firstContacts.get(key) === first ? contact() : contactInTurn(key, contact);
    }
    const made = contact();
    const settled = made.then(
      () => undefined,
      // The next one is the first then.
      () => void firstContacts.delete(key),
    );
    firstContacts.set(key, settled);
    return made;
  };

  type Tried = { readonly session: OpenSession } | { readonly end: Exclude<SessionEnd, { state: 'ended' | 'cut' }> };

  const tryOnce = async (address: HostAddress, command: OpenOptions, signal: AbortSignal): Promise<Tried> => {
    const release = await acquire(address, signal);
    try {
      const nonce = randomBytes(16).toString('hex');
      const { text, header } = wrapCommand(command, { nonce, sudo: config.sudo, isRoot: config.user === 'root' });
      const carrier = await connector.start(address, text, { withinMs: beginWithinMs, signal });
      const session = startSession({
        carrier,
        nonce,
        header,
        beginWithinMs,
        signal,
        ...(command.input === undefined ? {} : { input: command.input }),
        ...(command.onErrorOutput === undefined ? {} : { onErrorOutput: command.onErrorOutput }),
      });
      void session.ended.then(release);
      if (await session.begun) return { session };
      const early = await session.ended;
      if (early.state === 'failed' || early.state === 'notstarted') return { end: early };
      return { session };
    } catch (thrown) {
      release();
      if (!(thrown instanceof ConnectFailed)) throw thrown;
      return { end: { state: 'failed', said: thrown.message, exitCode: 255, isLate: thrown.isLate } };
    }
  };

  const open: SshClient['open'] = async (address, command, call) => {
    const { random, logger } = call;
    // Hundreds of commands may belong to one call; each has a signal of its own to listen to.
    const signal = AbortSignal.any([call.signal]);
    const tries = command.tries ?? config.tries;
    for (let number = 1; ; number += 1) {
      if (signal.aborted) throw abortedError(address, signal);
      const contact = (): Promise<Tried> => tryOnce(address, command, signal);
      const tried = await contactInTurn(address, async () => {
        const result = config.jump === undefined ? await contact() : await contactInTurn('jump', contact);
        if ('end' in result) throw result;
        return result;
      }).catch((thrown: unknown): Tried => {
        if (signal.aborted) throw abortedError(address, signal);
        // The branch above threw it, so that a first contact that failed is known as one.
        if (typeof thrown === 'object' && thrown !== null && 'end' in thrown) return thrown as Tried;
        throw thrown;
      });
      if ('session' in tried) return tried.session;
      if (signal.aborted) throw abortedError(address, signal);
      if (tried.end.state === 'notstarted') throw sshNotInstalled(config.program, tried.end.cause);
      const { said, exitCode, isLate } = tried.end;
      const failure = classifyFailure({
        address,
        said: isLate ? `it timed out: no command began within ${beginWithinMs} ms` : said,
        exitCode,
      });
      if (isLate || failure.class === 'dropped') {
        firstContacts.delete(address);
        await connector.forget(address);
      }
      // A dead host is given up a try earlier than one that answers and hangs up.
      const allowed = failure.class === 'refused' ? 1 : failure.class === 'dropped' ? tries + 2 : tries;
      if (number >= allowed) throw failure.error;
      logger.debug({ host: address, code: failure.error.code, number }, 'Connection failed; trying again');
      const waitMs = FIRST_WAIT_MS * 2 ** (number - 1) * (0.5 + random());
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  };

  return { open, dispose: connector.dispose };
};
