import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Debian's own sshd and sudo, unpacked and never installed: a package that is installed would start its daemon on this machine. */
const PACKAGES = ['openssh-server', 'libwrap0', 'sudo'];

/** Why sshd cannot run here, or undefined. */
export const whyNoServer = async (): Promise<string | undefined> => {
  if (process.getuid?.() !== 0) return 'a real sshd in a namespace of its own needs root';
  for (const program of ['apt-get', 'dpkg-deb', 'unshare', 'ssh', 'ssh-keygen'])
    if (!['/usr/bin', '/bin', '/usr/sbin'].some((folder) => existsSync(join(folder, program)))) return `there is no program ${program}`;
  try {
    await execute('unshare', ['--mount', 'true']);
  } catch {
    return 'this machine allows no mount namespaces';
  }
  return undefined;
};

/** The unpacked packages, kept outside the repository for the next run. */
const unpackServer = async (): Promise<string> => {
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'pipit-lab');
  const folder = join(cache, 'sshd');
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const fresh = await mkdtemp(join(cache, 'sshd-new-'));
  try {
    await execute('apt-get', ['download', '-o', 'APT::Sandbox::User=root', ...PACKAGES], { cwd: fresh });
    for (const name of (await readdir(fresh)).filter((each) => each.endsWith('.deb'))) {
      await execute('dpkg-deb', ['-x', join(fresh, name), fresh]);
      await rm(join(fresh, name));
    }
    // Of two that unpack at once one wins.
    await rename(fresh, folder).catch((thrown: unknown) => {
      if (!existsSync(folder)) throw thrown;
    });
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return folder;
};

export interface SshServer {
  readonly address: string;
  readonly port: number;
  /** The private key that may log in as root, deploy and git. */
  readonly privateKey: string;
  readonly privateKeyFile: string;
  /** The line that belongs into known_hosts. */
  readonly knownHosts: string;
  /** What sshd logged. */
  log(): Promise<string>;
  /** Ends sshd with every session, at once. Repeating it is harmless. */
  kill(): Promise<void>;
  /** Starts it again, at the same place. */
  start(): Promise<void>;
  /** Ends all and removes its folder. */
  close(): Promise<void>;
}

export interface SshServerOptions {
  /** Options of sshd_config, `Name=value`. */
  readonly options?: readonly string[];
  readonly number?: number;
  /** Lines of sudoers. Default: deploy may become root without a password. */
  readonly sudoers?: string;
}

/** An address of the loopback network that no other run of the tests on this machine uses at the same time. */
const loopbackAddress = (number: number): string => `127.${20 + (Math.floor(process.pid / 254) % 80)}.${1 + (process.pid % 254)}.${number}`;

const isListening = (address: string, port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

/** A real sshd on a loopback address, in namespaces of its own: with users `deploy` and `git`, sudo, and /usr and /etc laid over this machine's. */
export const openSshServer = async ({
  options = [],
  number = 1,
  sudoers = 'deploy ALL=(root) NOPASSWD: ALL',
}: SshServerOptions = {}): Promise<SshServer> => {
  const unpacked = await unpackServer();
  const folder = await mkdtemp(join(tmpdir(), 'pipit-sshd-'));
  // Users that are not root read their authorized_keys there.
  await chmod(folder, 0o755);
  const etc = join(folder, 'etc');
  await mkdir(etc);
  const passwd = await readFile('/etc/passwd', 'utf8');
  const without = passwd.split('\n').filter((line) => !/^(?:sshd|deploy|git|root):/.test(line));
  await writeFile(
    join(etc, 'passwd'),
    [
      `root:x:0:0:root:${folder}/root:/bin/bash`,
      'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin',
      `deploy:x:65532:65534::${folder}/home:/bin/sh`,
      `git:x:65531:65534::${folder}/home:/bin/sh`,
      ...without,
    ].join('\n'),
  );
  // A home of its own: this machine's may have profiles that take long.
  for (const home of ['home', 'root']) await mkdir(join(folder, home));
  await execute('chown', ['65532:65534', join(folder, 'home')]);
  await writeFile(join(etc, 'sudoers'), `root ALL=(ALL) ALL\n${sudoers}\n`, { mode: 0o440 });
  // Accounts without a password are locked for sshd unless shadow says otherwise.
  const shadow = (await readFile('/etc/shadow', 'utf8')).split('\n').filter((line) => !/^(?:deploy|git|root):/.test(line));
  await writeFile(
    join(etc, 'shadow'),
    ['root:*:19000:0:99999:7:::', 'deploy:*:19000:0:99999:7:::', 'git:*:19000:0:99999:7:::', ...shadow].join('\n'),
    { mode: 0o640 },
  );
  for (const name of ['host', 'user']) await execute('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(folder, name)]);
  await rename(join(folder, 'user.pub'), join(folder, 'authorized_keys'));
  const address = loopbackAddress(number);
  const port = 2200 + number;
  const [type, key] = (await readFile(join(folder, 'host.pub'), 'utf8')).split(' ');
  const script = [
    'set -e',
    `mount -t overlay overlay -o "lowerdir=$1/etc:$2/etc:/etc" /etc`,
    `mount -t overlay overlay -o "lowerdir=$2/usr:/usr" /usr`,
    'mount -t tmpfs tmpfs /run',
    'mkdir -m 755 /run/sshd',
    'shift 2',
    'exec /usr/sbin/sshd -D -e "$@"',
  ].join('\n');
  const settings = [
    `HostKey=${folder}/host`,
    `ListenAddress=${address}:${port}`,
    `AuthorizedKeysFile=${folder}/authorized_keys`,
    'StrictModes=no',
    'UsePAM=no',
    'PidFile=none',
    'PermitRootLogin=yes',
    ...(options.some((option) => option.startsWith('MaxStartups=')) ? [] : ['MaxStartups=100']),
    ...options,
  ];
  let child: ReturnType<typeof spawn> | undefined;
  let log = '';
  const kill = async (): Promise<void> => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
  };
  const start = async (): Promise<void> => {
    const started = spawn(
      'unshare',
      [
        '--mount',
        '--pid',
        '--fork',
        '--kill-child',
        '--mount-proc',
        'sh',
        '-c',
        script,
        'sshd',
        folder,
        unpacked,
        '-f',
        '/dev/null',
        ...settings.flatMap((each) => ['-o', each]),
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    child = started;
    started.stderr?.setEncoding('utf8').on('data', (text: string) => {
      log += text;
    });
    for (const end = Date.now() + 20_000; !(await isListening(address, port)); await delay(20))
      if (Date.now() > end || started.exitCode !== null) throw new Error(`sshd did not start: ${log}`);
  };
  const server: SshServer = {
    address,
    port,
    privateKey: await readFile(join(folder, 'user'), 'utf8'),
    privateKeyFile: join(folder, 'user'),
    knownHosts: `[${address}]:${port} ${type} ${key}\n`,
    log: async () => log,
    kill,
    start,
    close: async () => {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await start();
  } catch (thrown) {
    await server.close();
    throw thrown;
  }
  return server;
};
