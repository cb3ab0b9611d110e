import { mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { config } from '../src/config.js';
import { createConnectionSlots } from '../src/connection-slots.js';
import { createMarkerScanner } from '../src/marker-scanner.js';
import { wrapCommand } from '../src/remote-wrapper.js';
import { shortLog } from '../src/short-log.js';
import { destinationArguments, renderSshConfig } from '../src/ssh-config-file.js';
import { ensurePrivateFolder, socketFolderOf } from '../src/ssh-folder.js';

const nonce = 'ab'.repeat(16);

describe('what ssh is told', () => {
  it('is a configuration that checks host keys and asks nobody', () => {
    const text = renderSshConfig(config.parse({}), { sockets: '/s', knownHosts: ['/data/50% of hosts'] });
    for (const line of [
      'BatchMode yes',
      'StrictHostKeyChecking yes',
      'UserKnownHostsFile "/data/50%% of hosts"',
      'ControlPath "/s/%C"',
      'ForwardAgent no',
    ])
      expect(text.split('\n')).toContain(line);
    expect(text.indexOf('StrictHostKeyChecking')).toBeLessThan(text.indexOf('Include ~/.ssh/config'));
  });

  it('names a host behind --, with user, port and jump hosts', () => {
    expect(destinationArguments({ user: 'deploy', port: 22, jump: ['a', 'b@c:2'] }, 'web1')).toEqual([
      '-l',
      'deploy',
      '-p',
      '22',
      '-J',
      'a,b@c:2',
      '--',
      'web1',
    ]);
    expect(destinationArguments({}, 'web1')).toEqual(['--', 'web1']);
  });

  it('never shows arguments, variables or folders of a command in what other users of the host can see', () => {
    const { text, header } = wrapCommand(
      { argv: ['deploy', '--token', 's3cret'], env: { TOKEN: 't0ken' }, cwd: '/private' },
      { nonce, sudo: false, isRoot: false },
    );
    expect(text).not.toMatch(/s3cret|t0ken|private/);
    expect(Buffer.from(header).toString()).toContain('s3cret');
    expect(Buffer.from(header).toString().endsWith(`#${nonce}\n`)).toBe(true);
  });
});

describe('the markers of the wrapper', () => {
  it("are taken out of a command's output, however it comes in pieces", () => {
    const output = fc.string({ unit: fc.constantFrom('a', '\n', '\x1e', ' ', 'b', 'e'), maxLength: 40 });
    fc.assert(
      fc.property(output, output, fc.nat(255), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (before, said, code, sizes) => {
        const whole = `${before}\x1e${nonce} begin\n${said}\x1e${nonce} end ${code}\nConnection closed.\n`;
        const scanner = createMarkerScanner(nonce);
        let given = '';
        for (let at = 0, turn = 0; at < whole.length; turn += 1) {
          const size = sizes[turn % sizes.length] ?? 1;
          given += scanner.add(whole.slice(at, at + size));
          at += size;
        }
        expect([given, scanner.end(), scanner.preamble()]).toEqual([said, String(code), before.trim()]);
      }),
    );
  });

  it('that are missing leave an end unknown', () => {
    const scanner = createMarkerScanner(nonce);
    scanner.add(`ssh: Connection refused\x1e${nonce} beg`);
    expect([scanner.hasBegun(), scanner.end()]).toEqual([false, undefined]);
    expect(scanner.preamble()).toContain('Connection refused');
  });
});

describe('the folder of the sockets', () => {
  it("is the instance's where its path is short enough, else a fixed one elsewhere", () => {
    expect(socketFolderOf('/data/ssh', '/tmp')).toBe('/data/ssh/s');
    const long = socketFolderOf(`/${'x'.repeat(60)}`, '/tmp');
    expect(long).toMatch(/^\/tmp\/pipit-[0-9a-f]{16}$/);
    expect(socketFolderOf(`/${'x'.repeat(60)}`, '/tmp')).toBe(long);
  });

  it('is not taken when others can enter it, or somebody put a link there', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pipit-t-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await ensurePrivateFolder(join(folder, 'own'), process.getuid?.());
    expect((await stat(join(folder, 'own'))).mode & 0o777).toBe(0o700);
    await mkdir(join(folder, 'open'), { mode: 0o755 });
    await symlink(join(folder, 'own'), join(folder, 'link'));
    for (const name of ['open', 'link'])
      await expect(ensurePrivateFolder(join(folder, name), process.getuid?.())).rejects.toMatchObject({ code: 'SSH_FOLDER_UNSAFE' });
  });
});

it('gives slots in turn, and none to a call that was aborted while it waited', async () => {
  const slots = createConnectionSlots(1);
  const never = new AbortController().signal;
  const release = await slots.acquire(never);
  const aborted = new AbortController();
  const waiting = slots.acquire(aborted.signal);
  let isTaken = false;
  const next = slots.acquire(never).then((given) => {
    isTaken = true;
    return given;
  });
  aborted.abort(new Error('stop'));
  await expect(waiting).rejects.toThrow('stop');
  expect(isTaken).toBe(false);
  release();
  release();
  (await next)();
  (await slots.acquire(never))();
});

it('shortens a log to plain whole lines', () => {
  expect(shortLog('a\u001b[31mred\u001b[0m\tb\r\n\u0007')).toBe('ared b');
  const long = shortLog(`${'x'.repeat(9_000)}\nlast`);
  expect(long).toBe('last');
});
