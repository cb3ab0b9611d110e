import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import {
  createSandbox,
  DEFAULT_SANDBOX_USER,
  inspectDetached,
  minimalEnvironment,
  readDetachedLog,
  runCommand,
  type SandboxOptions,
  startDetached,
  stopDetached,
} from '../src/index.js';
import { buildProgram } from './build-program.js';
import { temporaryFolder } from './temporary-folder.js';
import { waitUntil } from './wait-until.js';

const isRoot = process.getuid?.() === 0;
/** nobody: an ordinary user that every Debian has. */
const ORDINARY_UID = 65_534;
const MARKER = 'marker-of-a-secret';

interface Seen {
  readonly mode?: string;
  readonly exitCode?: number;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}

let programFolder: string;
let program: string;
beforeAll(async () => {
  programFolder = await mkdtemp('/tmp/pipit-kit-program-');
  await chmod(programFolder, 0o755);
  program = await buildProgram('look-from-sandbox', programFolder);
});
afterAll(() => rm(programFolder, { recursive: true, force: true }));

/** A data folder with a key and a socket, a home with an ssh key, and a work folder within the data folder. */
const makeScene = async (uid: number | undefined) => {
  // Where root may, outside of /tmp and homes: those are hidden anyway, so that a test there would not see `hidden` fail.
  const root = await temporaryFolder(isRoot ? '/srv' : '/var/tmp');
  await chmod(root, 0o755);
  const data = join(root, 'data');
  const home = join(root, 'home');
  const folder = join(data, 'work');
  await mkdir(folder, { recursive: true });
  await mkdir(join(home, '.ssh'), { recursive: true });
  await writeFile(join(data, 'key'), MARKER);
  await chmod(join(data, 'key'), 0o644);
  await writeFile(join(home, '.ssh', 'id_ed25519'), MARKER);
  const server = createServer((socket) => socket.end(MARKER));
  await new Promise<void>((resolve) => server.listen(join(data, 'socket'), resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  if (uid !== undefined) await runCommand(['chown', '-R', `${uid}:${uid}`, root], { cwd: '/', env: minimalEnvironment('/') });
  return { root, data, home, folder, socket: join(data, 'socket') };
};

const look = async (
  scene: { readonly folder: string; readonly home: string; readonly data: string },
  uid: number | undefined,
  script: string,
  options: Partial<SandboxOptions> = {},
  mounts?: readonly { readonly from: string; readonly to: string; readonly writable?: boolean }[],
  env: Readonly<Record<string, string>> = { GIVEN: 'yes' },
): Promise<Seen> => {
  const input = { options: { hidden: [scene.data], ...options }, folder: scene.folder, script, env, mounts };
  const as = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
  const { stdout, stderr } = await runCommand([...as, process.execPath, program, JSON.stringify(input)], {
    cwd: '/',
    env: { ...minimalEnvironment(scene.home), SSH_AUTH_SOCK: join(scene.data, 'socket'), PIPIT_SECRET: MARKER },
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Seen;
};

const users: readonly (readonly [string, number | undefined])[] = [
  [isRoot ? 'root' : 'an ordinary user', undefined],
  ...(isRoot ? [['an ordinary user', ORDINARY_UID] as const] : []),
];

describe.each(users)('a sandbox made by %s', (_who, uid) => {
  const own = uid ?? process.getuid?.() ?? -1;

  it('is of namespaces, as another user, where git and node run', async () => {
    const scene = await makeScene(uid);
    const seen = await look(scene, uid, 'id -u; id -G; pwd; git --version; node --version; echo hi > made; cat made');
    expect(seen).toMatchObject({ mode: 'namespaces', exitCode: 0, stderr: '' });
    const lines = (seen.stdout ?? '').split('\n');
    expect(lines[0]).toBe(`${DEFAULT_SANDBOX_USER.uid}`);
    expect([0, own]).not.toContain(Number(lines[0]));
    expect((lines[1] ?? '').split(' ')).not.toContain('0');
    expect(lines.slice(2)).toEqual([scene.folder, expect.stringContaining('git version'), process.version, 'hi', '']);
    expect(await readFile(join(scene.folder, 'made'), 'utf8')).toBe('hi\n');
  });

  it('shows nothing of the data folder but the given folder: no key, no socket', async () => {
    const scene = await makeScene(uid);
    const connect = `node -e 'require("node:net").connect("${scene.socket}").on("data", (d) => console.log("read " + d)).on("error", (e) => console.log(e.code))'`;
    const seen = await look(scene, uid, `ls -A ${scene.data}; cat ${scene.data}/key; ${connect}`);
    expect(seen.stdout).toBe('work\nENOENT\n');
    expect(seen.stderr).toContain('No such file');
  });

  it('shows nothing of homes, and nothing of any process outside', async () => {
    const scene = await makeScene(uid);
    const seen = await look(
      scene,
      uid,
      `ls -A ${scene.home} /root /home /tmp; cat /proc/[0-9]*/environ | tr '\\0' '\\n' | grep -c '${MARKER}\\|SSH_AUTH_SOCK'; ls -d /proc/[0-9]* | wc -l; kill -0 ${process.pid}`,
    );
    expect(seen.stdout).not.toContain('.ssh');
    const [matches, processes] = (seen.stdout ?? '').trim().split('\n').slice(-2);
    expect(matches).toBe('0');
    expect(Number(processes)).toBeLessThan(10);
    expect(seen.exitCode).not.toBe(0);
  });

  it('shows nothing of a hidden file or socket', async () => {
    const scene = await makeScene(uid);
    const given = await look({ ...scene, folder: scene.data }, uid, `cat key; echo read`, { hidden: [join(scene.home, '.ssh')] });
    expect(given.stdout).toBe(`${MARKER}read\n`);
    const beside = join(scene.root, 'token');
    await writeFile(beside, MARKER, { mode: 0o644 });
    const seen = await look(scene, uid, `cat ${beside}; echo read`, { hidden: [beside, scene.socket] });
    expect(seen.stdout).toBe('read\n');
  });

  it('starts no program of its own with an environment that code of the repository chose', async () => {
    const scene = await makeScene(uid);
    // The loader complains once for each program that is started with it: here only the shell, which is the confined code.
    const seen = await look(scene, uid, 'true', {}, undefined, { LD_PRELOAD: '/nowhere.so', BASH_ENV: '/nowhere.sh', ENV: '/nowhere' });
    expect(seen.exitCode).toBe(0);
    expect((seen.stderr ?? '').match(/LD_PRELOAD/g)).toHaveLength(1);
  });

  it('keeps key rings and foreign sockets away, which namespaces do not', async () => {
    const tries = `
import ctypes, errno, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
add_key = 248 if platform.machine() == "x86_64" else 217
print("key", libc.syscall(add_key, b"user", b"pipit-test", b"x", 1, -4) != -1 or errno.errorcode[ctypes.get_errno()])
for family in (40, 38, 17):
  try:
    socket.socket(family, socket.SOCK_STREAM if family == 40 else socket.SOCK_RAW if family == 17 else socket.SOCK_SEQPACKET); print(family, "made")
  except OSError as error: print(family, errno.errorcode[error.errno])
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6): socket.socket(family, socket.SOCK_STREAM)
print("io_uring", libc.syscall(425, 1, None) != -1 or errno.errorcode[ctypes.get_errno()])
`;
    const seen = await look(await makeScene(uid), uid, `python3 -c '${tries}'`);
    expect(seen).toMatchObject({
      stdout: 'key EPERM\n40 EAFNOSUPPORT\n38 EAFNOSUPPORT\n17 EAFNOSUPPORT\nio_uring ENOSYS\n',
      stderr: '',
    });
  });

  it('passes only the given environment', async () => {
    const scene = await makeScene(uid);
    const seen = await look(scene, uid, 'exec env');
    const names = (seen.stdout ?? '')
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0]);
    expect(names.filter((name) => name !== 'PWD' && name !== '_').sort()).toEqual(['GIVEN', 'HOME', 'LANG', 'PATH']);
  });

  it('lets nothing be written outside, nor any right be won', async () => {
    const scene = await makeScene(uid);
    const seen = await look(
      scene,
      uid,
      'for path in /etc /usr /var/lib /opt /; do touch "$path/pipit-was-here" && echo "wrote $path"; done; mount -t tmpfs none /mnt && echo mounted; chown 0:0 . && echo chowned; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status',
    );
    expect(seen.stdout).toBe('CapEff:\t0000000000000000\nNoNewPrivs:\t1\n');
  });

  it('shows nothing of the machine but its programs: not a folder that anybody may read', async () => {
    const scene = await makeScene(uid);
    await writeFile(join(scene.root, 'inventory'), MARKER, { mode: 0o644 });
    const seen = await look(scene, uid, `cat ${scene.root}/inventory; ls -A ${scene.root}; ls -A /; ls -A /etc /var /run; exit 0`);
    expect(seen.stdout).not.toContain(MARKER);
    expect(seen.stdout?.split('\n')[0]).toBe('data');
    const [, root = '', etc = '', run = '', inVar = ''] =
      /^data\n([\s\S]*)\n\/etc:\n([\s\S]*)\n\/run:\n([\s\S]*)\n\/var:\n([\s\S]*)$/.exec(seen.stdout ?? '') ?? [];
    const allowed = ['bin', 'dev', 'etc', 'proc', 'run', 'sbin', 'tmp', 'usr', 'var', scene.root.split('/')[1]];
    expect(root.split('\n').filter((name) => !allowed.includes(name) && !/^(?:lib\w*)?$/.test(name))).toEqual([]);
    for (const secret of ['shadow', 'ssh', 'sudoers', 'gitconfig', 'npmrc', 'pip.conf', 'apt', 'machine-id', 'environment'])
      expect(etc.split('\n')).not.toContain(secret);
    expect(run.trim()).toBe('');
    expect(inVar.trim().split('\n')).toEqual(['run', 'tmp']);
  });

  it('knows no accounts but root, its own and nobody', async () => {
    const seen = await look(await makeScene(uid), uid, 'cut -d: -f1,3 /etc/passwd /etc/group; id -un');
    expect(seen.stdout?.trim().split('\n')).toEqual([
      ...['root:0', `sandbox:${DEFAULT_SANDBOX_USER.uid}`, 'nobody:65534'],
      ...['root:0', `sandbox:${DEFAULT_SANDBOX_USER.gid}`, 'nogroup:65534'],
      'sandbox',
    ]);
  });

  it('passes no open file on, and lets nothing be made beside the given folders', async () => {
    const scene = await makeScene(uid);
    const seen = await look(
      scene,
      uid,
      'ls /proc/self/fd | wc -l; for path in / /etc /usr /var /srv /opt; do mkdir "$path/x" && echo "made in $path"; done; for path in /tmp /var/tmp /dev/shm; do echo y > "$path/x" || echo "not in $path"; done; exit 0',
    );
    // Standard input, output and error, and that of ls itself.
    expect(seen.stdout).toBe('4\n');
  });

  it('runs what packages are built with', async () => {
    const script =
      'perl -e "print 1" && python3 -c "import ssl; ssl.create_default_context().load_verify_locations(\'/etc/ssl/certs/ca-certificates.crt\')" && dpkg-deb --version > /dev/null && mkdir -p p/DEBIAN p/usr && printf "Package: p\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: d\\n" > p/DEBIAN/control && dpkg-deb --root-owner-group --build p >/dev/null && tar tzf /dev/null; npm --version >/dev/null && git init -q g && date +%Z > /dev/null && echo " all"';
    const seen = await look(await makeScene(uid), uid, script);
    expect(seen).toMatchObject({ stdout: '1 all\n', exitCode: 0 });
  });

  it('hides what lies within a readable folder too', async () => {
    const scene = await makeScene(uid);
    const seen = await look(scene, uid, `ls -A ${scene.root} ${scene.data}`, { readable: [scene.root] });
    expect(seen.stdout).toBe(`${scene.root}:\ndata\nhome\n\n${scene.data}:\nwork\n`);
  });

  it('resolves names as the machine does', async () => {
    const scene = await makeScene(uid);
    const seen = await look(scene, uid, 'cat /etc/resolv.conf > /dev/null && getent hosts localhost');
    expect(seen).toMatchObject({ exitCode: 0, stderr: '' });
  });

  it('shows a readable folder that lies under a hidden one, read-only and on PATH', async () => {
    const scene = await makeScene(uid);
    const bin = join(scene.home, '.nvm', 'bin');
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, 'own-node'), '#!/bin/sh\necho from a home\n', { mode: 0o755 });
    const seen = await look(scene, uid, `own-node; touch ${bin}/x || echo read-only; ls -A ${scene.home}`, { path: [bin] });
    expect(seen.stdout).toBe('from a home\nread-only\n.nvm\n');
  });

  it('shows a folder at another path', async () => {
    const scene = await makeScene(uid);
    const opt = join(scene.data, 'hosts', 'web1', 'opt');
    await mkdir(opt, { recursive: true });
    await writeFile(join(opt, 'app'), 'of the host');
    const seen = await look(scene, uid, 'cat /opt/app; touch /opt/x || echo read-only', {}, [{ from: opt, to: '/opt' }]);
    expect(seen.stdout).toBe('of the hostread-only\n');
    const made = await look(scene, uid, 'cat /no/such/place/app', {}, [{ from: opt, to: '/no/such/place' }]);
    expect(made.stdout).toBe('of the host');
    const missing = await look(scene, uid, 'true', {}, [{ from: opt, to: '/usr/no/such/place' }]);
    expect(missing.error).toMatchObject({ code: 'SANDBOX_MOUNT_POINT_MISSING', hint: 'mkdir -p /usr/no/such/place' });
  });

  it('sees through a link to the hidden folder, and refuses to give a folder that holds it', async () => {
    const scene = await makeScene(uid);
    const link = join(scene.root, 'link');
    await symlink(scene.data, link);
    const seen = await look(scene, uid, `ls -A ${scene.data}`, { hidden: [link] });
    expect(seen.stdout).toBe('work\n');
    const exposing = await look({ ...scene, folder: scene.root }, uid, 'true', { hidden: [link] });
    expect(exposing.error?.code).toBe('SANDBOX_EXPOSES_HIDDEN');
  });

  it('is refused where there is none, with what to install, unless repositories are trusted', async () => {
    const scene = await makeScene(uid);
    const programs = { bwrap: '/usr/bin/false', setpriv: '/usr/bin/false' };
    const refused = await look(scene, uid, 'true', { programs });
    expect(refused.error).toMatchObject({ code: 'SANDBOX_UNAVAILABLE' });
    expect(refused.error?.hint).toMatch(/apt-get install bubblewrap.*trustRepositories: true/);
    const trusted = await look(scene, uid, 'id -u; echo $GIVEN$PIPIT_SECRET', { programs, trusted: true });
    expect(trusted).toMatchObject({ mode: 'trusted', exitCode: 0, stdout: `${own}\nyes\n` });
  });
});

describe('a sandbox of root', () => {
  beforeEach(({ skip }) => skip(!isRoot, 'this is not root'));

  it('hides a folder that is made after the sandbox', async () => {
    const scene = await makeScene(undefined);
    const later = join(scene.root, 'later');
    const sandbox = await createSandbox({ hidden: [later], readable: [scene.root] });
    await mkdir(later);
    await writeFile(join(later, 'key'), MARKER);
    const { argv, env } = sandbox.confine(['ls', '-A', later, scene.root], { folder: scene.folder });
    expect(await runCommand(argv, { cwd: scene.folder, env })).toMatchObject({
      exitCode: 0,
      stdout: `${scene.root}:\ndata\nhome\nlater\n\n${later}:\n`,
    });
  });
});

describe('a sandbox of root without namespaces', () => {
  beforeEach(({ skip }) => skip(!isRoot, 'only root can become another user without namespaces'));

  const programs = { bwrap: '/usr/bin/false' };

  it('is a user of its own that reads no key', async () => {
    const scene = await makeScene(undefined);
    await chmod(scene.data, 0o711);
    await chmod(join(scene.data, 'key'), 0o600);
    const seen = await look(
      scene,
      undefined,
      `id -u; ls ${scene.data}; cat ${scene.data}/key; touch /etc/x; echo hi > made; cat made; env | grep -c ${MARKER}`,
      {
        programs,
      },
    );
    expect(seen).toMatchObject({ mode: 'user', stdout: `${DEFAULT_SANDBOX_USER.uid}\nhi\n0\n` });
  });

  it('is refused where anybody may list the hidden folder', async () => {
    const scene = await makeScene(undefined);
    await chmod(scene.data, 0o755);
    const seen = await look(scene, undefined, 'true', { programs });
    expect(seen.error).toMatchObject({ code: 'SANDBOX_UNAVAILABLE', message: expect.stringContaining(`chmod o-r`) });
  });

  it('says that a folder cannot be reached', async () => {
    const scene = await makeScene(undefined);
    await chmod(scene.data, 0o700);
    expect((await look(scene, undefined, 'true', { programs })).error?.code).toBe('SANDBOX_FOLDER_UNREACHABLE');
  });

  it('gives a folder without following its links', async () => {
    const scene = await makeScene(undefined);
    await symlink(join(scene.data, 'key'), join(scene.folder, 'link'));
    const sandbox = await createSandbox({ hidden: [scene.data] });
    await sandbox.giveFolder(scene.folder);
    expect((await stat(scene.folder)).uid).toBe(DEFAULT_SANDBOX_USER.uid);
    expect((await stat(join(scene.data, 'key'))).uid).toBe(0);
  });
});

it('ends everything in the sandbox with a detached task, also what left its session', async () => {
  const scene = await makeScene(undefined);
  const sandbox = await createSandbox({ hidden: [scene.data] });
  await sandbox.giveFolder(scene.folder);
  const task = join(scene.data, 'task');
  const beat = join(scene.folder, 'beat');
  const confined = sandbox.confine(['sh', '-c', 'setsid sh -c "while :; do date +%s%N > beat; sleep 0.05; done" & echo up; sleep 300'], {
    folder: scene.folder,
  });
  await startDetached({ folder: task, ...confined, cwd: scene.folder });
  await waitUntil('it beats', () => stat(beat).then(Boolean, () => false));
  await stopDetached(task);
  expect(await inspectDetached(task)).toMatchObject({ state: 'ended', reason: 'stopped' });
  expect((await readDetachedLog(task)).text).toBe('up\n');
  // A process that still ran would write again within this many looks.
  const last = await readFile(beat, 'utf8');
  let looks = 0;
  await waitUntil('20 looks', () => {
    looks += 1;
    return looks > 20;
  });
  expect(await readFile(beat, 'utf8')).toBe(last);
});
