import { readFile } from 'node:fs/promises';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { type HostAddress, parseHostAddress } from '@pipit/core';
import ssh2, { type AnyAuthMethod, type Client, type ClientChannel } from 'ssh2';
import type { SshConfig } from './config.js';
import { type Carrier, type CarrierEnd, ConnectFailed, type Connector } from './connector.js';
import { destinationArguments } from './ssh-config-file.js';
import { usableAlgorithms } from './ssh2-algorithms.js';
import { type Destination, readDestination } from './ssh2-destination.js';
import { describeSsh2Error } from './ssh2-errors.js';
import { findHostKeys, type HostKeyFiles, judgeHostKey, orderHostKeyAlgorithms, parseHostKey, recordHostKey } from './ssh2-host-keys.js';

export interface Ssh2ConnectorOptions extends HostKeyFiles {
  readonly config: SshConfig;
  /** The file that `renderSshConfig` gave. */
  readonly configFile: string;
}

/** How long a closed channel or connection is waited for, when the other side says nothing. */
const CLOSE_WITHIN_MS = 2_000;

/** A jump host is waited for as long as this many connections may take. */
const JUMPS_WAITED_FOR = 4;

/** Where to connect: a host of the fleet, or one to go through. */
type Target = Pick<SshConfig, 'user' | 'port' | 'jump'> & { readonly address: string };

interface SharedConnection {
  readonly client: Client;
  readonly gone: Promise<void>;
  /** Keeps the connection open until what it gives is called; idle ones are closed after a while. */
  use(): () => void;
  close(): Promise<void>;
}

const JUMP_HOST = /^(?:(?<user>[^@]+)@)?(?:\[(?<six>[^\]]+)\]|(?<name>[^:]+))(?::(?<port>\d+))?$/;

/** A jump host as ssh prints it: `[user@]host[:port]`. */
const jumpTarget = (text: string, through: readonly string[]): Target => {
  const { user, six, name, port } = JUMP_HOST.exec(text)?.groups ?? {};
  return {
    address: parseHostAddress(six ?? name ?? ''),
    ...(user === undefined ? {} : { user }),
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(through.length === 0 ? {} : { jump: [...through] }),
  };
};

/** The private keys that can be read, as ways to log in, then the agent; and what is wrong with files that are there. */
const readLogins = async (
  destination: Destination,
): Promise<{ readonly logins: AnyAuthMethod[]; readonly troubles: readonly string[] }> => {
  const { user: username, identities, identitiesOnly, agent } = destination;
  const logins: AnyAuthMethod[] = [];
  const troubles: string[] = [];
  for (const path of identities) {
    // ssh's own list names files that most users do not have.
    const text = await readFile(path).catch(() => undefined);
    if (text === undefined) continue;
    const key = ssh2.utils.parseKey(text);
    if (key instanceof Error) troubles.push(`${path}: ${key.message}`);
    else logins.push({ type: 'publickey', username, key: text });
  }
  if (agent !== undefined && !identitiesOnly) logins.push({ type: 'agent', username, agent });
  return { logins, troubles };
};

/** A command's channel as a carrier. */
const carry = (channel: ClientChannel, release: () => void): Carrier => {
  const stdout = new PassThrough();
  let bytes = 0;
  let exitCode = 255;
  let last: NodeJS.Timeout | undefined;
  let resolveClosed: (end: CarrierEnd) => void = () => undefined;
  const closed = new Promise<CarrierEnd>((resolve) => {
    resolveClosed = resolve;
  });
  let isClosed = false;
  const finish = (): void => {
    isClosed = true;
    clearTimeout(last);
    release();
    resolveClosed({ state: 'closed', exitCode });
  };
  channel.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  channel.pipe(stdout);
  channel.on('exit', (code: number | null) => {
    exitCode = code ?? 255;
  });
  channel.once('close', () => {
    stdout.end();
    if (stdout.readableEnded || stdout.destroyed) {
      finish();
      return;
    }
    stdout.once('end', finish).once('close', finish);
    // What was brought is still to be read; but of a command that never began nobody does, as with a child process.
    setImmediate(() => stdout.readableFlowing === null && stdout.resume());
  });
  return {
    stdin: channel,
    stdout,
    stderr: channel.stderr,
    readBytes: () => bytes,
    kill: () => {
      if (isClosed) return;
      channel.close();
      channel.resume();
      // A host that is cut off never confirms it.
      last ??= setTimeout(() => {
        stdout.destroy();
        finish();
      }, CLOSE_WITHIN_MS);
    },
    closed,
  };
};

/**
 * Connections inside this process, by ssh2: no ssh is started for a command. What the machine's ssh_config says of a host is asked of the
 * machine's ssh, and known_hosts of ssh-keygen.
 */
export const createSsh2Connector = (options: Ssh2ConnectorOptions): Connector => {
  const { config, configFile, folder } = options;
  const connections = new Map<string, Promise<SharedConnection>>();
  const open = new Set<SharedConnection>();
  const ended = new AbortController();

  const keyOf = ({ address, user, port, jump }: Target): string => JSON.stringify([address, user, port, jump]);

  /** @param chain keys of the connections that wait for this one */
  const connect = async (target: Target, chain: readonly string[]): Promise<SharedConnection> => {
    // Hundreds of connections may be made at once; each has a signal of its own to listen to.
    const signal = AbortSignal.any([ended.signal]);
    const ssh = [config.program, '-F', configFile, ...destinationArguments(target, target.address)];
    const destination = await readDestination(ssh, folder, signal);
    const [{ logins, troubles }, known] = await Promise.all([readLogins(destination), findHostKeys(destination, options, signal)]);
    const usable = usableAlgorithms(destination.algorithms);
    const algorithms = { ...usable, serverHostKey: orderHostKeyAlgorithms(usable.serverHostKey, known) };
    for (const [name, list] of Object.entries(algorithms))
      if (list.length === 0)
        throw new ConnectFailed(`unsupported option: the ssh_config allows no ${name} that \`client: ssh2\` has: use \`client: openssh\``);
    if (logins.length === 0) throw new ConnectFailed(`Permission denied: no private key to log in with. ${troubles.join('; ')}`.trim());

    const through = await throughJumpHosts(destination, chain);
    if (signal.aborted) throw signal.reason;
    const client = new ssh2.Client();
    const shared = share(client, through?.release);
    let refusal: string | undefined;
    let recorded: string | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        client.once('ready', resolve);
        client.once('error', reject);
        client.once('close', () => reject(new ConnectFailed('Connection closed by remote host')));
        client.connect({
          host: destination.hostname,
          port: destination.port,
          username: destination.user,
          ...(through === undefined ? {} : { sock: through.stream }),
          authHandler: logins,
          // ssh2 takes them as lists that it may change.
          algorithms: algorithms as unknown as NonNullable<Parameters<Client['connect']>[0]['algorithms']>,
          readyTimeout: config.connectTimeout,
          keepaliveInterval: config.keepAlive,
          keepaliveCountMax: 3,
          hostVerifier: (bytes: Buffer, verify: (isRight: boolean) => void): void => {
            const shown = parseHostKey(bytes);
            const judged = judgeHostKey(shown, known, config.hostKeys);
            if (judged.verdict === 'refused') refusal = judged.said;
            // It is shown again when the session's keys are renewed.
            if (judged.verdict !== 'new' || recorded === shown.key) {
              verify(judged.verdict !== 'refused');
              return;
            }
            recordHostKey(destination, shown, options).then(
              () => {
                recorded = shown.key;
                verify(true);
              },
              (thrown: unknown) => {
                refusal = `Host key verification failed: its key cannot be recorded: ${String(thrown)}`;
                verify(false);
              },
            );
          },
        });
      });
    } catch (thrown) {
      await shared.close();
      if (refusal !== undefined) throw new ConnectFailed(refusal, { cause: thrown });
      const said = describeSsh2Error(thrown);
      throw new ConnectFailed([said, ...troubles].join('; '), { cause: thrown });
    }
    client.setNoDelay(true);
    return shared;
  };

  /** A stream to the destination over the connection to its last jump host. */
  const throughJumpHosts = async ({ hostname, port, jump }: Destination, chain: readonly string[]) => {
    const last = jump.at(-1);
    if (last === undefined) return undefined;
    const late = delay(config.connectTimeout * JUMPS_WAITED_FOR, undefined, { ref: false }).then((): never => {
      throw new ConnectFailed(`Connection timed out: the jump host ${last} was not reached`);
    });
    late.catch(() => undefined);
    const connection = await Promise.race([connectionTo(jumpTarget(last, jump.slice(0, -1)), chain), late]);
    const release = connection.use();
    try {
      const stream = await new Promise<ClientChannel>((resolve, reject) => {
        connection.client.forwardOut('127.0.0.1', 0, hostname, port, (error, channel) => (error ? reject(error) : resolve(channel)));
      });
      return { stream, release };
    } catch (thrown) {
      release();
      throw new ConnectFailed(describeSsh2Error(thrown), { cause: thrown });
    }
  };

  /** Counts who uses a connection, and closes one that nobody uses for a while. */
  const share = (client: Client, release?: () => void): SharedConnection => {
    let users = 0;
    let idle: NodeJS.Timeout | undefined;
    const leave = (): void => {
      clearTimeout(idle);
      open.delete(shared);
      release?.();
    };
    const gone = new Promise<void>((resolve) => {
      client.once('close', () => {
        leave();
        resolve();
      });
    });
    // Whatever goes wrong ends in `close`; without a listener it would end the process.
    client.on('error', () => undefined);
    const shared: SharedConnection = {
      client,
      gone,
      use: () => {
        users += 1;
        clearTimeout(idle);
        let isUsed = true;
        return () => {
          if (!isUsed) return;
          isUsed = false;
          users -= 1;
          if (users === 0) idle = setTimeout(() => client.end(), config.persist).unref();
        };
      },
      close: async () => {
        client.end();
        await Promise.race([gone, delay(CLOSE_WITHIN_MS, undefined, { ref: false })]);
        client.destroy();
        leave();
      },
    };
    open.add(shared);
    return shared;
  };

  const connectionTo = (target: Target, chain: readonly string[] = []): Promise<SharedConnection> => {
    const key = keyOf(target);
    if (chain.includes(key)) return Promise.reject(new ConnectFailed(`unsupported option ProxyJump: jumphost loop via ${target.address}`));
    const before = connections.get(key);
    if (before !== undefined) return before;
    const made = connect(target, [...chain, key]);
    connections.set(key, made);
    const remove = (): void => {
      if (connections.get(key) === made) connections.delete(key);
    };
    made.then((shared) => {
      // Whoever wanted it may have given up.
      shared.use()();
      void shared.gone.then(remove);
    }, remove);
    return made;
  };

  const targetOf = (address: HostAddress): Target => ({ ...config, address });

  return {
    start: async (address, text, { withinMs, signal }) => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
      const late = new Promise<never>((_, reject) => {
        limit.addEventListener('abort', () => reject(new ConnectFailed('', { isLate: true })), { once: true });
        if (limit.aborted) reject(new ConnectFailed('', { isLate: true }));
      });
      late.catch(() => undefined);
      const connection = await Promise.race([connectionTo(targetOf(address)), late]);
      const release = connection.use();
      try {
        const opened = new Promise<ClientChannel>((resolve, reject) => {
          connection.client.exec(text, (error, channel) => (error ? reject(error) : resolve(channel)));
        });
        // It may come when nobody waits for it any more.
        opened.then(
          (channel) => limit.aborted && channel.close(),
          () => undefined,
        );
        return carry(await Promise.race([opened, late]), release);
      } catch (thrown) {
        release();
        if (thrown instanceof ConnectFailed) throw thrown;
        throw new ConnectFailed(describeSsh2Error(thrown), { cause: thrown });
      }
    },
    forget: async (address) => {
      const key = keyOf(targetOf(address));
      const made = connections.get(key);
      connections.delete(key);
      made?.then(({ client }) => client.destroy()).catch(() => undefined);
    },
    dispose: async () => {
      ended.abort(new ConnectFailed('Connection closed: pipit stops'));
      await Promise.all([...open].map((shared) => shared.close()));
    },
  };
};
