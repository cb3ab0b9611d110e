import { createHash } from 'node:crypto';
import { appendFile, chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type DebianMirror, readDebianMirror } from './components/apt-sources.js';
import { cachedFolder } from './components/cached-folder.js';
import { imageCacheFolder } from './image-cache-folder.js';
import { runCommand } from './run-command.js';

/** Raised when what is done below changes, so that an image of before is not taken. */
const RECIPE = 1;

const SUITE = 'bookworm';

/** As small as a host with systemd, sshd, apt and sudo can be. */
const PACKAGES = ['systemd-sysv', 'dbus', 'openssh-server', 'ca-certificates', 'iproute2', 'procps', 'curl', 'gpgv', 'sudo'];

/** What a host in namespaces cannot do, or may not do to the machine that it shares a kernel with. */
const MASKED = [
  'systemd-networkd.service',
  'systemd-networkd.socket',
  'systemd-networkd-wait-online.service',
  'systemd-logind.service',
  'systemd-firstboot.service',
  'systemd-timesyncd.service',
  'systemd-sysctl.service',
  'systemd-modules-load.service',
  'systemd-journald-audit.socket',
  'systemd-binfmt.service',
  'proc-sys-fs-binfmt_misc.automount',
  'proc-sys-fs-binfmt_misc.mount',
  'dev-hugepages.mount',
  'dev-mqueue.mount',
  'sys-kernel-debug.mount',
  'sys-kernel-tracing.mount',
  'sys-fs-fuse-connections.mount',
  'apt-daily.timer',
  'apt-daily-upgrade.timer',
  'dpkg-db-backup.timer',
  'e2scrub_all.timer',
  'fstrim.timer',
  'getty.target',
  'console-getty.service',
];

/** A folder that an overlay is laid over. */
export interface Image {
  /** Root folder of the image. */
  readonly folder: string;
  /** Names what it was made from: the same for the same packages of the same mirror. */
  readonly key: string;
  readonly mirror: DebianMirror;
}

/** What nobody reads in an image. */
export const LEFT_OUT = ['doc', 'man', 'locale', 'info'].map((name) => `path-exclude=/usr/share/${name}/*`);

/** What apt of a folder reads while something is installed in it. */
export const aptSourceLine = ({ url }: DebianMirror): string => `deb ${url} ${SUITE} main\n`;

/** Shortens a text to a name for a folder. */
export const imageKey = (parts: readonly unknown[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 12);

const makeLabHost = async (root: string): Promise<void> => {
  await Promise.all([
    rm(join(root, 'var/lib/apt/lists'), { recursive: true, force: true }),
    rm(join(root, 'var/cache/apt'), { recursive: true, force: true }),
    // A host installs packages whole.
    rm(join(root, 'etc/dpkg/dpkg.cfg.d/99mmdebstrap'), { force: true }),
    // Each host gets its own.
    ...['rsa', 'ecdsa', 'ed25519'].flatMap((type) => [
      rm(join(root, `etc/ssh/ssh_host_${type}_key`), { force: true }),
      rm(join(root, `etc/ssh/ssh_host_${type}_key.pub`), { force: true }),
    ]),
    ...MASKED.map((unit) => symlink('/dev/null', join(root, 'etc/systemd/system', unit))),
    // No way out of the lab: a host gets its packages from the lab's repository alone.
    writeFile(join(root, 'etc/apt/sources.list'), ''),
    writeFile(join(root, 'etc/resolv.conf'), ''),
    writeFile(
      join(root, 'etc/ssh/sshd_config.d/lab.conf'),
      'HostKey /etc/ssh/ssh_host_ed25519_key\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nUseDNS no\n',
    ),
    mkdir(join(root, 'etc/systemd/journald.conf.d'), { recursive: true }).then(() =>
      writeFile(
        join(root, 'etc/systemd/journald.conf.d/lab.conf'),
        '[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\nAudit=no\nReadKMsg=no\n',
      ),
    ),
  ]);
  await mkdir(join(root, 'var/lib/apt/lists/partial'), { recursive: true });
  await mkdir(join(root, 'var/cache/apt/archives/partial'), { recursive: true });
  // A person without rights who may do everything by sudo: what most fleets give a deployer.
  await runCommand(['chroot', root, 'useradd', '--create-home', '--shell', '/bin/bash', '--password', '*', 'deploy']);
  const sudoers = join(root, 'etc/sudoers.d/deploy');
  await appendFile(sudoers, 'deploy ALL=(ALL) NOPASSWD: ALL\n');
  await chmod(sudoers, 0o440);
};

/**
 * The image under every lab host: Debian 12 with systemd, sshd, apt and sudo, built by mmdebstrap from this machine's own Debian mirror, once
 * (half a minute, 180 MB) and kept in the cache. Two processes that ask at once build it once. Needs root and `mmdebstrap`.
 */
export const ensureBaseImage = async (signal?: AbortSignal): Promise<Image> => {
  const mirror = await readDebianMirror();
  const key = `base-${imageKey([RECIPE, SUITE, PACKAGES, MASKED, mirror.url, process.arch])}`;
  const folder = await cachedFolder(join(imageCacheFolder(), key), async (work) => {
    const root = join(work, 'root');
    await runCommand(
      [
        'mmdebstrap',
        '--quiet',
        '--mode=root',
        '--format=directory',
        '--variant=minbase',
        `--include=${PACKAGES.join(',')}`,
        ...LEFT_OUT.map((option) => `--dpkgopt=${option}`),
        '--aptopt=Acquire::Languages "none"',
        SUITE,
        root,
        mirror.url,
      ],
      { ...(signal && { signal }) },
    );
    await makeLabHost(root);
  });
  return { folder: join(folder, 'root'), key, mirror };
};
