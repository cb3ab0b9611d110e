import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { createTestCall } from '@pipit/plugin-testing';
import fc from 'fast-check';
import { openSshServer, type SshServer, whyNoServer } from 'pipit-lab';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { socketFolderOf } from '../src/ssh-folder.js';
import { configFor, hostAt, openInstance as openAnyInstance, until } from './instances.js';

const skipReason = await whyNoServer();
const local = { cwd: '/', env: minimalEnvironment('/') };
let server: SshServer;
let folder: string;

const CLIENTS = ['openssh', 'ssh2'] as const;
/** That of the test which is running. */
let client: (typeof CLIENTS)[number];

/** A test for each client that needs the server; skipped by name and reason where there can be none. */
const overSsh = (
  name: string,
  run: (context: TestContext) => Promise<void>,
  clients: readonly (typeof CLIENTS)[number][] = CLIENTS,
): void => {
  it.for(clients)(`${name} (%s)`, async (ofTest, context) => {
    if (skipReason !== undefined) context.skip(skipReason);
    client = ofTest;
    await run(context);
  });
};

const openInstance: typeof openAnyInstance = (config, own) => openAnyInstance({ client, ...config }, own);

const withConnection = async (use: (connection: Connection, instanceFolder: string) => Promise<void>, more: object = {}): Promise<void> => {
  const instance = await openInstance({ ...configFor(server), ...more });
  try {
    await use(await instance.transport.connect(hostAt(server.address), createTestCall()), instance.folder);
  } finally {
    await instance.close();
  }
};

const connecting = async (config: object, address = server.address, signal?: AbortSignal): Promise<void> => {
  const instance = await openInstance({ ...configFor(server), ...config });
  try {
    await instance.transport.connect(hostAt(address), createTestCall(signal === undefined ? {} : { signal }));
  } finally {
    await instance.close();
  }
};

const read = async (content: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
};

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** A connection that sshd greeted, and did not drop. */
const holdPlace = ({ address, port }: SshServer): Promise<Socket | undefined> =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port });
    socket.once('error', () => resolve(undefined));
    socket.once('data', (greeting) => resolve(greeting.toString().startsWith('SSH-') ? socket : undefined));
  });

beforeAll(async () => {
  if (skipReason !== undefined) return;
  server = await openSshServer();
  folder = await mkdtemp(join(tmpdir(), 'pipit-ssh-files-'));
});
afterAll(async () => {
  if (skipReason !== undefined) return;
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

describe('a command over ssh', () => {
  overSsh('gets its arguments, environment, folder and input as they are', () =>
    withConnection(async (connection) => {
      const odd = ['a b', "it's", '$HOME', '`id`', '-n', 'ü\n\nx', '*', '', '\\'];
      const script = 'printf "[%s]" "$@"; printf "%s" "$ODD"; pwd; cat; echo err >&2; exit 42';
      const result = await connection.run(['/bin/sh', '-c', script, 'sh', ...odd], {
        cwd: '/tmp',
        env: { ODD: 'x\'"; $(y)' },
        input: 'in\n',
      });
      expect(result).toEqual({ exitCode: 42, stdout: `${odd.map((word) => `[${word}]`).join('')}x'"; $(y)/tmp\nin\n`, stderr: 'err\n' });
    }),
  );

  overSsh('gets any argument, variable and input unchanged', () =>
    withConnection(async (connection) => {
      const text = fc.string({ unit: 'binary', maxLength: 60 }).map((value) => value.replaceAll('\0', ''));
      const word = fc.oneof(text, fc.stringMatching(/^[ -~\n\t]{0,40}$/));
      await fc.assert(
        fc.asyncProperty(fc.array(word, { maxLength: 6 }), word, word, async (words, variable, input) => {
          const result = await connection.run(['/bin/sh', '-c', 'printf "%s\\0" "$VALUE" "$@"; exec cat', 'sh', ...words], {
            env: { VALUE: variable },
            input,
          });
          expect(result.stdout).toBe([variable, ...words].map((value) => `${value}\0`).join('') + input);
        }),
        { numRuns: 60 },
      );
    }),
  );

  overSsh('has a minimal environment and none of the login', () =>
    withConnection(async (connection) => {
      const { stdout } = await connection.run(['env']);
      expect(
        stdout
          .split('\n')
          .map((line) => line.split('=')[0])
          .filter((name) => !['PWD', 'OLDPWD', 'SHLVL', '_', ''].includes(name ?? ''))
          .sort(),
      ).toEqual(['HOME', 'LANG', 'PATH']);
    }),
  );

  overSsh("may exit with ssh's own 255, and be ended by a signal", () =>
    withConnection(async (connection) => {
      expect((await connection.run(['/bin/sh', '-c', 'exit 255'])).exitCode).toBe(255);
      expect((await connection.run(['/bin/sh', '-c', 'kill -KILL $$'])).exitCode).toBe(137);
    }),
  );

  overSsh('gives its output as it comes, and megabytes of it', () =>
    withConnection(async (connection) => {
      const pieces: string[] = [];
      await connection.run(['/bin/sh', '-c', 'echo one; read -r line; echo "$line" >&2'], {
        input: 'two\n',
        onOutput: (text) => void pieces.push(text),
      });
      expect(pieces.join('').split('\n').sort()).toEqual(['', 'one', 'two']);
      const much = await connection.run(['/bin/sh', '-c', 'head -c 3000000 /dev/zero | tr "\\0" x; echo end']);
      expect(much.stdout.length).toBe(1024 * 1024);
      expect(much.stdout.endsWith('xend\n')).toBe(true);
    }),
  );

  overSsh('ends although a process that it left behind holds the connection', () =>
    withConnection(async (connection) => {
      expect((await connection.run(['/bin/sh', '-c', 'sleep 60 & echo started'])).stdout).toBe('started\n');
    }),
  );

  overSsh('says what is missing: program, folder', () =>
    withConnection(async (connection) => {
      await expect(connection.run(['no-such-program'])).rejects.toMatchObject({ code: 'COMMAND_NOT_FOUND', recovery: 'stop' });
      await expect(connection.run(['true'], { cwd: '/no/such' })).rejects.toMatchObject({ code: 'COMMAND_FOLDER_MISSING' });
      await expect(connection.run(['true'], { env: { 'a=b': '1' } })).rejects.toMatchObject({ code: 'SSH_VARIABLE_INVALID' });
      await expect(connection.run(['true'], { cwd: 'relative' })).rejects.toMatchObject({ code: 'SSH_PATH_RELATIVE' });
      await expect(connection.run(['true', 'a\0b'])).rejects.toMatchObject({ code: 'ARGUMENT_HAS_NUL' });
    }),
  );

  overSsh('is ended on the host when its call is aborted, and when it takes too long', async () => {
    const instance = await openInstance(configFor(server));
    try {
      const controller = new AbortController();
      const connection = await instance.transport.connect(hostAt(server.address), createTestCall({ signal: controller.signal }));
      const lock = join(folder, 'lock');
      const waits = ['flock', lock, 'sleep', '600'];
      const isHeld = async (): Promise<boolean> => (await runCommand(['flock', '--nonblock', lock, 'true'], local)).exitCode !== 0;
      const untilHeld = (held: boolean) =>
        until(`the lock is ${held ? 'held' : 'free'}`, async () => ((await isHeld()) === held ? true : undefined));
      await expect(connection.run(waits, { timeoutMs: 1_500 })).rejects.toMatchObject({ code: 'COMMAND_TIMED_OUT', recovery: 'reconcile' });
      await untilHeld(false);
      const running = connection.run(waits);
      await untilHeld(true);
      controller.abort(new Error('stop'));
      await expect(running).rejects.toMatchObject({ code: 'COMMAND_ABORTED', recovery: 'reconcile' });
      await untilHeld(false);
      await expect(connection.run(['true'])).rejects.toMatchObject({ code: 'COMMAND_ABORTED' });
    } finally {
      await instance.close();
    }
  });
});

describe('root', () => {
  overSsh('is had by sudo, with a minimal environment', () =>
    withConnection(
      async (connection) => {
        expect((await connection.run(['id', '-u'])).stdout).toBe('65532\n');
        expect((await connection.run(['id', '-u'], { root: true })).stdout).toBe('0\n');
        expect((await connection.run(['env'], { root: true })).stdout).not.toContain('SUDO_');
      },
      { user: 'deploy', sudo: true },
    ),
  );

  overSsh('is refused with what to do, where the user is not root', () =>
    withConnection(
      async (connection) => {
        await expect(connection.run(['id'], { root: true })).rejects.toMatchObject({
          code: 'SSH_ROOT_REFUSED',
          hint: expect.stringContaining('sudo: true'),
        });
      },
      { user: 'deploy' },
    ),
  );

  overSsh('is refused with what to do, where sudo asks for a password', async () => {
    const strict = await openSshServer({ number: 2, sudoers: '' });
    const instance = await openInstance({ ...configFor(strict), user: 'deploy', sudo: true });
    try {
      const connection = await instance.transport.connect(hostAt(strict.address), createTestCall());
      await expect(connection.run(['id'], { root: true })).rejects.toMatchObject({ code: 'SSH_SUDO_REFUSED', recovery: 'stop' });
    } finally {
      await instance.close();
      await strict.close();
    }
  });
});

describe('a file over ssh', () => {
  overSsh('is written and read as bytes, with its mode and parent folders', () =>
    withConnection(async (connection) => {
      const bytes = Buffer.from(Array.from({ length: 700_000 }, (_, index) => (index * 7) % 256));
      const path = join(folder, "deep/a 'file");
      await connection.write(path, inPieces(bytes, 65_536), { mode: 0o750 });
      expect((await readFile(path)).equals(bytes)).toBe(true);
      expect((await stat(path)).mode & 0o777).toBe(0o750);
      expect((await read(connection.read(path))).equals(bytes)).toBe(true);
      await connection.write(path, 'ü\n');
      expect((await read(connection.read(path))).toString()).toBe('ü\n');
      expect((await stat(path)).mode & 0o777).toBe(0o644);
      expect(await readdir(join(folder, 'deep'))).toEqual(["a 'file"]);
      await expect(read(connection.read(`${path}.missing`))).rejects.toMatchObject({ code: 'SHELL_FILE_NOT_FOUND', recovery: 'stop' });
      await expect(connection.write(folder, 'x')).rejects.toMatchObject({ code: 'SSH_FILE_FAILED' });
    }),
  );

  overSsh('is not read below a folder of repository code when it is no plain file, or lies behind a link', () =>
    withConnection(async (connection) => {
      const below = await mkdtemp(join(folder, 'work-'));
      await mkdir(join(below, 'sub'), { recursive: true });
      await writeFile(join(folder, 'secret'), 'secret');
      await writeFile(join(below, 'sub', "a 'file"), 'mine');
      await symlink('../../secret', join(below, 'sub/link'));
      await symlink('..', join(below, 'up'));
      await symlink('sub', join(below, 'beside'));
      await symlink('/dev/zero', join(below, 'endless'));
      await runCommand(['mkfifo', join(below, 'pipe')], { cwd: '/', env: minimalEnvironment('/') });
      const readBelow = async (path: string) => (await read(connection.read(join(below, path), { below }))).toString();
      expect(await readBelow("sub/a 'file")).toBe('mine');
      for (const path of ['sub/link', 'up/secret', "beside/a 'file", 'endless', 'pipe', 'sub', 'sub/link/x'])
        await expect(readBelow(path)).rejects.toMatchObject({ code: 'SSH_FILE_REFUSED', recovery: 'stop' });
      for (const path of ['none', 'none/none']) await expect(readBelow(path)).rejects.toMatchObject({ code: 'SHELL_FILE_NOT_FOUND' });
    }),
  );

  overSsh('keeps what it was when the content breaks off', () =>
    withConnection(async (connection) => {
      const path = join(folder, 'kept/file');
      await connection.write(path, 'before');
      const broken = (async function* () {
        yield Buffer.from('half');
        throw new Error('the source broke off');
      })();
      await expect(connection.write(path, broken)).rejects.toThrow();
      expect(await readFile(path, 'utf8')).toBe('before');
    }),
  );

  overSsh('may be left half read', () =>
    withConnection(async (connection) => {
      for await (const chunk of connection.read('/dev/zero')) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
    }),
  );
});

describe('a connection', () => {
  overSsh('is opened once for many commands, in a folder that only pipit enters, and closed at the end', async () => {
    const before = (await server.log()).split('Accepted publickey').length;
    let sockets = '';
    await withConnection(async (connection, own) => {
      sockets = join(own, 's');
      await Promise.all(Array.from({ length: 12 }, () => connection.run(['true'])));
      expect((await stat(sockets)).mode & 0o777).toBe(0o700);
      expect((await readdir(sockets)).length).toBe(client === 'openssh' ? 1 : 0);
      expect((await stat(join(own, 'identity'))).mode & 0o777).toBe(0o600);
    });
    expect((await server.log()).split('Accepted publickey').length - before).toBe(1);
    expect(existsSync(sockets) ? await readdir(sockets) : []).toEqual([]);
  });

  overSsh('has its sockets elsewhere when the path of its folder is too long, and leaves nothing there', async () => {
    const long = await mkdtemp(join(tmpdir(), `pipit-${'x'.repeat(60)}-`));
    const sockets = socketFolderOf(long, tmpdir());
    const instance = await openInstance(configFor(server), long);
    try {
      const connection = await instance.transport.connect(hostAt(server.address), createTestCall());
      expect((await connection.run(['echo', 'here'])).stdout).toBe('here\n');
      expect((await readdir(sockets)).length).toBe(1);
    } finally {
      await instance.close();
      await rm(long, { recursive: true, force: true });
    }
    expect(sockets.startsWith(long)).toBe(false);
    expect(existsSync(sockets)).toBe(false);
  }, ['openssh']);

  overSsh('is refused to a host with another key than the known one', async () => {
    const other = await openSshServer({ number: 3 });
    try {
      const wrong = server.knownHosts.replace(/^\S+/, `[${other.address}]:${other.port}`);
      await expect(connecting({ ...configFor(other), knownHosts: wrong, identity: other.privateKey }, other.address)).rejects.toMatchObject(
        {
          code: 'SSH_HOST_KEY_CHANGED',
          recovery: 'stop',
          hint: expect.stringContaining('known_hosts'),
        },
      );
      // Also when new keys are recorded.
      await expect(connecting({ ...configFor(other), knownHosts: wrong, hostKeys: 'record-new' }, other.address)).rejects.toMatchObject({
        code: 'SSH_HOST_KEY_CHANGED',
      });
    } finally {
      await other.close();
    }
  });

  overSsh('is refused to a host whose key is not known, until it was recorded', async () => {
    const own = await mkdtemp(join(tmpdir(), 'pipit-t-'));
    const go = async (hostKeys: string): Promise<void> => {
      const instance = await openInstance({ ...configFor(server), knownHosts: '# none', hostKeys }, own);
      try {
        await instance.transport.connect(hostAt(server.address), createTestCall());
      } finally {
        await instance.close();
      }
    };
    try {
      await expect(go('strict')).rejects.toMatchObject({
        code: 'SSH_HOST_KEY_UNKNOWN',
        recovery: 'stop',
        hint: expect.stringContaining('record-new'),
      });
      await go('record-new');
      await go('strict');
      expect(await readFile(join(own, 'known_hosts'), 'utf8')).toContain('ssh-ed25519');
    } finally {
      await rm(own, { recursive: true, force: true });
    }
  });

  overSsh('is refused with a key that the host does not know', async () => {
    const other = await openSshServer({ number: 4 });
    try {
      await expect(connecting({ identity: other.privateKey })).rejects.toMatchObject({ code: 'SSH_LOGIN_REFUSED', recovery: 'stop' });
    } finally {
      await other.close();
    }
  });

  overSsh('is tried again, then given up, where nobody answers', async () => {
    await expect(connecting({ port: 1, tries: 2, connectTimeout: '1s' })).rejects.toMatchObject({
      code: 'SSH_UNREACHABLE',
      recovery: 'retry',
    });
    await expect(connecting({}, 'no-such-host.invalid')).rejects.toMatchObject({ code: 'SSH_UNREACHABLE' });
  });

  overSsh('that the host drops is tried again with jitter', async () => {
    const full = await openSshServer({ number: 5, options: ['MaxStartups=1:100:1', 'LoginGraceTime=60'] });
    // Holds the only place of those that have not logged in yet.
    const holder = await until('the place is held', () => holdPlace(full));
    try {
      const dropped = connecting({ ...configFor(full), tries: 1 }, full.address);
      await expect(dropped).rejects.toMatchObject({ code: 'SSH_CONNECTION_DROPPED', recovery: 'retry' });
      const instance = await openInstance({ ...configFor(full), tries: 5 });
      onTestFinished(instance.close);
      const call = createTestCall();
      const later = instance.transport.connect(hostAt(full.address), call);
      await until('the first handshake was dropped', () => (call.logger.messages('debug').length > 0 ? true : undefined));
      holder.destroy();
      await later;
    } finally {
      holder.destroy();
      await full.close();
    }
  });

  overSsh('that is cut off during a command is told apart from a failure of it, and made anew', async () => {
    const mortal = await openSshServer({ number: 6 });
    const instance = await openInstance(configFor(mortal));
    try {
      const connection = await instance.transport.connect(hostAt(mortal.address), createTestCall());
      const file = join(folder, `cut-${client}`);
      const running = connection.run(['/bin/sh', '-c', `echo began > ${file}; exec sleep 60`]);
      await until('the command began', () => (existsSync(file) ? true : undefined));
      await mortal.kill();
      await expect(running).rejects.toMatchObject({ code: 'SSH_CONNECTION_LOST', recovery: 'reconcile' });
      await expect(connection.run(['true'])).rejects.toMatchObject({ code: 'SSH_UNREACHABLE' });
      await mortal.start();
      expect((await connection.run(['echo', 'again'])).stdout).toBe('again\n');
    } finally {
      await instance.close();
      await mortal.close();
    }
  });

  overSsh('goes through a jump host, whose key is checked too', async () => {
    const inner = await openSshServer({ number: 7 });
    const jump = [`root@${server.address}:${server.port}`];
    // Both accept the same key only when it is said so: the jump host lets the inner one's key in through an ssh_config of the user's.
    const config = join(folder, 'ssh_config');
    await writeFile(join(folder, 'jump-key'), server.privateKey, { mode: 0o600 });
    await writeFile(config, `Host ${server.address}\n  IdentityFile ${join(folder, 'jump-key')}\n`, { mode: 0o600 });
    const through = { ...configFor(inner), jump, sshConfig: config };
    try {
      await connecting({ ...through, knownHosts: inner.knownHosts + server.knownHosts }, inner.address);
      await expect(connecting({ ...through, knownHosts: inner.knownHosts }, inner.address)).rejects.toMatchObject({
        code: expect.stringMatching(/^SSH_(?:HOST_KEY_UNKNOWN|CONNECTION_DROPPED)$/),
      });
    } finally {
      await inner.close();
    }
  });

  overSsh('takes user, port and key from an ssh_config file', async () => {
    const config = join(folder, 'whole_config');
    await writeFile(
      config,
      `Host web1\n  HostName ${server.address}\n  Port ${server.port}\n  User deploy\n  IdentityFile ${server.privateKeyFile}\n`,
      { mode: 0o600 },
    );
    const instance = await openInstance({ sshConfig: config, knownHosts: server.knownHosts });
    try {
      const connection = await instance.transport.connect(hostAt('web1'), createTestCall());
      expect((await connection.run(['id', '-un'])).stdout).toBe('deploy\n');
    } finally {
      await instance.close();
    }
  });

  overSsh('is not made with a configuration that ssh cannot read', async () => {
    const config = join(folder, 'bad_config');
    await writeFile(config, 'NoSuchOption yes\n', { mode: 0o600 });
    await expect(connecting({ sshConfig: config })).rejects.toMatchObject({ code: 'SSH_CONFIG_INVALID', recovery: 'stop' });
  });

  overSsh('is not waited for any longer when the call is aborted', async () => {
    const controller = new AbortController();
    const waiting = connecting({ port: 1, tries: 10 }, server.address, controller.signal);
    controller.abort(new Error('stop'));
    await expect(waiting).rejects.toMatchObject({ code: 'COMMAND_ABORTED' });
  });

  overSsh('needs ssh on this machine', async () => {
    await expect(connecting({ program: '/no/such/ssh' })).rejects.toMatchObject({ code: 'SSH_NOT_INSTALLED', recovery: 'stop' });
  });
});
