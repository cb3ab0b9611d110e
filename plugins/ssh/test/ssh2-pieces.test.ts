import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { classifyFailure } from '../src/connection-failure.js';
import { ConnectFailed } from '../src/connector.js';
import { usableAlgorithms } from '../src/ssh2-algorithms.js';
import { type Destination, homeOfUser, parseDestination, readDestination } from '../src/ssh2-destination.js';
import { describeSsh2Error } from '../src/ssh2-errors.js';
import {
  findHostKeys,
  type HostKey,
  judgeHostKey,
  knownHostsNames,
  orderHostKeyAlgorithms,
  parseHostKey,
  parseKnownHosts,
  plainKnownHosts,
} from '../src/ssh2-host-keys.js';

const execute = promisify(execFile);
const signal = AbortSignal.timeout(60_000);
let folder: string;
let keys: readonly HostKey[];

const destinationOf = (config: string, address = 'web1'): Promise<Destination> =>
  writeFile(join(folder, 'config'), config).then(() =>
    readDestination(['ssh', '-F', join(folder, 'config'), '--', address], folder, signal),
  );

const keyOf = async (name: string, type: string): Promise<HostKey> => {
  await execute('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', name, '-f', join(folder, name)]);
  const [kind = '', key = ''] = (await readFile(join(folder, `${name}.pub`), 'utf8')).split(' ');
  return { type: kind, key };
};
const lineOf = (names: string, { type, key }: HostKey): string => `${names} ${type} ${key}\n`;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pipit-ssh2-'));
  keys = [await keyOf('one', 'ed25519'), await keyOf('two', 'ecdsa'), await keyOf('three', 'ed25519')];
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('what the ssh_config says of a host', () => {
  it("is what the machine's ssh makes of it: Host, Match and Include", async () => {
    await writeFile(join(folder, 'more'), 'Match host 192.0.2.7\n  IdentitiesOnly yes\n');
    const found = await destinationOf(
      `Host web*\n  HostName 192.0.2.7\n  Port 2222\n  User deploy\n  IdentityFile ~/.ssh/50%%\n  IdentityFile "/keys/b c"\n  IdentityAgent /run/agent\nInclude ${join(folder, 'more')}\nHost *\n  ProxyJump a,root@[2001:db8::1]:22\n  HostKeyAlias fleet\n  Ciphers aes256-ctr\n`,
    );
    expect(found).toMatchObject({
      hostname: '192.0.2.7',
      port: 2222,
      user: 'deploy',
      hostKeyAlias: 'fleet',
      identities: [`${homeOfUser()}/.ssh/50%`, '/keys/b c'],
      identitiesOnly: true,
      agent: '/run/agent',
      jump: ['a', 'root@[2001:db8::1]:22'],
      algorithms: { cipher: ['aes256-ctr'] },
    });
  });

  it('is refused where only OpenSSH can do it, with what to do', async () => {
    const refused = (config: string) => destinationOf(config).then(undefined, (thrown: unknown) => thrown);
    for (const config of ['ProxyCommand nc %h %p\n', 'CertificateFile /keys/cert.pub\n']) {
      const thrown = await refused(config);
      expect(thrown).toBeInstanceOf(ConnectFailed);
      const { error } = classifyFailure({ address: 'web1', said: (thrown as Error).message, exitCode: 255 }); // looked at in the line above
      expect(error).toMatchObject({ code: 'SSH_CONFIG_INVALID', recovery: 'stop', message: expect.stringContaining('client: openssh') });
    }
  });

  it('is not made up where ssh printed nothing', () => {
    expect(() => parseDestination('', '/root')).toThrow(ConnectFailed);
  });

  it('allows algorithms that ssh2 takes, and none that the config leaves out', () => {
    const all = parseDestination(
      [
        'hostname web1\nport 22\nuser root',
        'kexalgorithms sntrup761x25519-sha512@openssh.com,curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,diffie-hellman-group14-sha256',
        'ciphers chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com',
        'macs umac-64-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1',
        'hostkeyalgorithms ssh-ed25519-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256',
      ].join('\n'),
      '/root',
    ).algorithms;
    const usable = usableAlgorithms(all);
    expect(Object.values(usable).map((list) => list.length)).toEqual([9, 6, 6, 6]);
    // It throws at a name that it does not know; nothing listens on port 1.
    const client = new ssh2.Client().on('error', () => undefined);
    client.connect({ host: '127.0.0.1', port: 1, username: 'x', algorithms: usable as object });
    client.destroy();
    expect(usableAlgorithms({ ...all, cipher: ['aes256-ctr'], kex: ['sntrup761x25519-sha512@openssh.com'] })).toMatchObject({
      cipher: ['aes256-ctr'],
      kex: [],
    });
  });
});

describe('known host keys', () => {
  const plain: Destination = {
    hostname: 'Web1.example.org',
    port: 22,
    user: 'root',
    globalKnownHosts: [],
    identities: [],
    identitiesOnly: false,
    jump: [],
    algorithms: { kex: [], cipher: [], hmac: [], serverHostKey: [] },
  };
  const known = async (text: string, destination: Destination = plain) => {
    const path = join(folder, 'known');
    await writeFile(path, text);
    return findHostKeys(destination, { knownHosts: [join(folder, 'not there'), path], folder }, signal);
  };

  it('are found as ssh finds them: by pattern, hashed, by port, by alias, in several files', async () => {
    const [one, two, three] = keys as readonly [HostKey, HostKey, HostKey];
    expect((await known(lineOf('web1.example.org', one) + lineOf('db1.example.org', two))).keys).toEqual([one]);
    expect((await known(lineOf('*.example.org,!web1.example.org', one) + lineOf('web?.example.org', two))).keys).toEqual([two]);
    const atPort = { ...plain, port: 2222 };
    const both = lineOf('[web1.example.org]:2222', one) + lineOf('web1.example.org', three);
    expect((await known(both, atPort)).keys).toEqual([one]);
    // A key that is known without a port holds for any.
    expect((await known(lineOf('web1.example.org', three), atPort)).keys).toEqual([three]);
    expect((await known(lineOf('[web1.example.org]:2223', one), atPort)).keys).toEqual([]);
    expect((await known(lineOf('fleet', one), { ...atPort, hostKeyAlias: 'fleet' })).keys).toEqual([one]);
    await writeFile(join(folder, 'hashed'), lineOf('web1.example.org', two));
    await execute('ssh-keygen', ['-q', '-H', '-f', join(folder, 'hashed')]);
    expect(await readFile(join(folder, 'hashed'), 'utf8')).not.toContain('web1');
    expect((await known(lineOf('web1.example.org', one), { ...plain, globalKnownHosts: [join(folder, 'hashed')] })).keys).toEqual([
      one,
      two,
    ]);
    expect(knownHostsNames(atPort)[0]).toBe('[web1.example.org]:2222');
  });

  it('are read from a file of plain names as ssh-keygen reads it, and from no other', async () => {
    const [one, two] = keys as readonly [HostKey, HostKey, HostKey];
    const path = join(folder, 'plain');
    const plain = `# web9 is gone\n\n \tWeb1,10.0.0.1 ${one.type} ${one.key} root@web1\nweb10\t${two.type}   ${two.key}\r\n[web2]:22022,web3 ${lineOf('', two).trim()}\n`;
    await writeFile(path, plain);
    for (const name of ['web1', 'WEB1', 'web10', '10.0.0.1', '10.0.0', 'web', 'web2', '[web2]:22022', 'web3', 'web9', two.type]) {
      const found = plainKnownHosts(plain, name);
      expect(found).toBeDefined();
      const { stdout } = await execute('ssh-keygen', ['-F', name, '-f', path]).catch((thrown: { stdout: string }) => thrown);
      expect(parseKnownHosts(found ?? ''), name).toEqual(parseKnownHosts(stdout));
    }
    expect(parseKnownHosts(plainKnownHosts(plain, 'web1') ?? '').keys).toEqual([one]);
    for (const odd of [
      lineOf('web?', one),
      lineOf('*', one),
      lineOf('web1,!web2', one),
      lineOf('|1|c2FsdA==|aGFzaA==', one),
      lineOf('@revoked web1', one),
      'web1 1024 35 1234567\n',
      'web1\n',
    ])
      expect(plainKnownHosts(plain + odd, 'web1'), odd).toBeUndefined();
  });

  it('let in the host that shows one of them, and no other', async () => {
    const [one, two, three] = keys as readonly [HostKey, HostKey, HostKey];
    const codeOf = (judged: ReturnType<typeof judgeHostKey>): string =>
      judged.verdict === 'refused' ? classifyFailure({ address: 'web1', said: judged.said, exitCode: 255 }).error.code : judged.verdict;
    for (const policy of ['strict', 'record-new'] as const) {
      const ofOne = await known(lineOf('web1.example.org', one));
      expect(codeOf(judgeHostKey(one, ofOne, policy))).toBe('known');
      expect(codeOf(judgeHostKey(three, ofOne, policy))).toBe('SSH_HOST_KEY_CHANGED');
      // Also of another type: whoever stands in between would choose that.
      expect(codeOf(judgeHostKey(two, ofOne, policy))).toBe('SSH_HOST_KEY_CHANGED');
      const revoked = await known(lineOf('web1.example.org', one) + lineOf('@revoked *', one));
      expect(codeOf(judgeHostKey(one, revoked, policy))).toBe('SSH_HOST_KEY_UNKNOWN');
      const byAuthority = await known(lineOf('@cert-authority *.example.org', one));
      expect(judgeHostKey(one, byAuthority, policy)).toMatchObject({
        verdict: 'refused',
        said: expect.stringContaining('client: openssh'),
      });
    }
    const none = await known('');
    expect(codeOf(judgeHostKey(one, none, 'strict'))).toBe('SSH_HOST_KEY_UNKNOWN');
    expect(codeOf(judgeHostKey(one, none, 'record-new'))).toBe('new');
  });

  it('decide which of its keys a host is asked for', () => {
    const offered = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'rsa-sha2-512', 'rsa-sha2-256'];
    const of = (...types: string[]) => ({ keys: types.map((type) => ({ type, key: '' })), revoked: [], byAuthority: false });
    expect(orderHostKeyAlgorithms(offered, of('ssh-rsa'))).toEqual(['rsa-sha2-512', 'rsa-sha2-256']);
    expect(orderHostKeyAlgorithms(offered, of('ecdsa-sha2-nistp256', 'ssh-ed25519'))).toEqual(['ssh-ed25519', 'ecdsa-sha2-nistp256']);
    expect(orderHostKeyAlgorithms(offered, of())).toEqual(offered);
  });

  it('are read from the bytes that a host shows', () => {
    for (const key of keys) expect(parseHostKey(Buffer.from(key.key, 'base64'))).toEqual(key);
  });
});

describe('an error of ssh2', () => {
  const error = (message: string, code?: string): Error => Object.assign(new Error(message), code === undefined ? {} : { code });
  it.each([
    [error('connect ECONNREFUSED 127.0.0.1:1', 'ECONNREFUSED'), 'SSH_UNREACHABLE'],
    [error('getaddrinfo ENOTFOUND no-such-host', 'ENOTFOUND'), 'SSH_UNREACHABLE'],
    [error('Timed out while waiting for handshake'), 'SSH_UNREACHABLE'],
    [error('Keepalive timeout'), 'SSH_UNREACHABLE'],
    [error('read ECONNRESET', 'ECONNRESET'), 'SSH_CONNECTION_DROPPED'],
    [error('Connection lost before handshake'), 'SSH_CONNECTION_DROPPED'],
    [error('(SSH) Channel open failure: open failed'), 'SSH_CONNECTION_DROPPED'],
    [error('All configured authentication methods failed'), 'SSH_LOGIN_REFUSED'],
  ])('means what it means of ssh: %s', (thrown, code) => {
    expect(classifyFailure({ address: 'web1', said: describeSsh2Error(thrown), exitCode: 255 }).error.code).toBe(code);
  });
});
