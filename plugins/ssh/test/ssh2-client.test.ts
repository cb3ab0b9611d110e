/** What `client: ssh2` does beside what both clients do (ssh-transport.test.ts): on a real sshd, agent and ssh_config. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createTestCall } from '@pipit/plugin-testing';
import { openSshServer, type SshServer, whyNoServer } from 'pipit-lab';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { configFor, hostAt, openInstance, until } from './instances.js';

const execute = promisify(execFile);
const skipReason = await whyNoServer();
let server: SshServer;
let folder: string;

beforeAll(async () => {
  if (skipReason !== undefined) return;
  server = await openSshServer();
  folder = await mkdtemp(join(tmpdir(), 'pipit-ssh2-'));
});
afterAll(async () => {
  if (skipReason !== undefined) return;
  await server.close();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(({ skip }) => skip(skipReason !== undefined, skipReason));

const connect = async (more: object, address = server.address) => {
  const { identity, ...config } = configFor(server);
  const instance = await openInstance({ ...config, client: 'ssh2', ...('identity' in more ? {} : { identity }), ...more });
  try {
    return { instance, connection: await instance.transport.connect(hostAt(address), createTestCall()) };
  } catch (thrown) {
    await instance.close();
    throw thrown;
  }
};

const count = async (words: string): Promise<number> => (await server.log()).split(words).length - 1;

it('closes a connection that nobody uses for a while, keeps one that is used, and opens another', async () => {
  const [accepted, gone] = [await count('Accepted publickey'), await count('Disconnected from user')];
  const { instance, connection } = await connect({ persist: '1s' });
  try {
    // Longer than it may stay unused.
    await connection.run(['sleep', '1.5']);
    expect((await count('Accepted publickey')) - accepted).toBe(1);
    await until('the connection is closed', async () => ((await count('Disconnected from user')) > gone ? true : undefined));
    expect((await connection.run(['echo', 'again'])).stdout).toBe('again\n');
    expect((await count('Accepted publickey')) - accepted).toBe(2);
  } finally {
    await instance.close();
  }
});

it("logs in with an agent's key", async () => {
  const socket = join(folder, 'agent');
  const key = join(folder, 'key');
  await writeFile(key, server.privateKey, { mode: 0o600 });
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    await once(agent.stdout, 'data');
    await execute('ssh-add', ['-q', key], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
    const { instance, connection } = await connect({ identity: undefined, agent: socket });
    expect((await connection.run(['echo', 'in'])).stdout).toBe('in\n');
    await instance.close();
  } finally {
    agent.kill();
  }
});

it('names the file of a key that it cannot read', async () => {
  const key = join(folder, 'locked');
  await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', key]);
  const sshConfig = join(folder, 'config');
  await writeFile(sshConfig, `IdentityFile ${key}\n`);
  await expect(connect({ identity: undefined, sshConfig })).rejects.toMatchObject({
    code: 'SSH_LOGIN_REFUSED',
    message: expect.stringContaining(key),
  });
});

it('connects to nobody where the ssh_config asks for what only OpenSSH can do, and says so', async () => {
  const sshConfig = join(folder, 'proxied');
  await writeFile(sshConfig, 'ProxyCommand nc %h %p\n');
  const accepted = await count('Accepted publickey');
  await expect(connect({ sshConfig })).rejects.toMatchObject({
    code: 'SSH_CONFIG_INVALID',
    recovery: 'stop',
    message: expect.stringMatching(/proxycommand.*client: openssh/),
  });
  expect(await count('Accepted publickey')).toBe(accepted);
});

it('does not let in a host whose key is revoked', async () => {
  const [, ...key] = server.knownHosts.trim().split(' ');
  await expect(connect({ knownHosts: `${server.knownHosts}\n@revoked * ${key.join(' ')}\n` })).rejects.toMatchObject({
    code: 'SSH_HOST_KEY_UNKNOWN',
    message: expect.stringContaining('revoked'),
  });
});

it('speaks with one that is hashed in known_hosts', async () => {
  const path = join(folder, 'hashed');
  await writeFile(path, `${server.knownHosts.trim()}\n`);
  await execute('ssh-keygen', ['-q', '-H', '-f', path]);
  const { instance } = await connect({ knownHosts: undefined, knownHostsFile: path });
  await instance.close();
});
