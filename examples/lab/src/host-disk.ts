import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type HostRecord, hostFolder, hostRoot, type LabRecord } from './lab-state.js';
import { ensureLayers } from './layers.js';
import { runCommand, tryCommand } from './run-command.js';

const isOverlayPossible = async (folder: string): Promise<boolean> => {
  const { stdout } = await tryCommand(['stat', '--file-system', '--format=%T', folder]);
  // An overlay cannot be the upper part of another one: in most containers the disk is one.
  return !stdout.includes('overlay');
};

/** Lays the host's own disk over its image and mounts both as its root folder. */
export const mountDisk = async (lab: LabRecord, host: HostRecord, signal?: AbortSignal): Promise<void> => {
  const lower = await ensureLayers(host.layers, signal);
  const disk = join(hostFolder(lab, host), 'disk');
  const root = hostRoot(lab, host);
  await mkdir(disk, { recursive: true });
  await mkdir(root, { recursive: true });
  if (host.diskBytes !== undefined || !(await isOverlayPossible(disk))) {
    const size = host.diskBytes === undefined ? [] : [`size=${host.diskBytes}`];
    await runCommand(['mount', '-t', 'tmpfs', '-o', ['mode=755', ...size].join(','), 'tmpfs', disk]);
  }
  await mkdir(join(disk, 'upper'));
  await mkdir(join(disk, 'work'));
  const options = `lowerdir=${lower.join(':')},upperdir=${join(disk, 'upper')},workdir=${join(disk, 'work')}`;
  await runCommand(['mount', '-t', 'overlay', '-o', options, 'overlay', root]);
};

/** What makes a host itself: names, machine id, SSH host key, who may log in. Returns its public host key: type and key. */
export const personalizeDisk = async (lab: LabRecord, host: HostRecord, publicKey: string): Promise<string> => {
  const root = hostRoot(lab, host);
  const names = [
    '127.0.0.1 localhost',
    `${lab.bridgeAddress} lab`,
    ...lab.hosts.map(({ name, address }) => `${address} ${name}`),
    '::1 localhost',
  ];
  await Promise.all([
    writeFile(join(root, 'etc/hostname'), `${host.name}\n`),
    writeFile(join(root, 'etc/hosts'), `${names.join('\n')}\n`),
    writeFile(join(root, 'etc/machine-id'), `${randomBytes(16).toString('hex')}\n`),
    ...['root', 'home/deploy'].map(async (home) => {
      const folder = join(root, home, '.ssh');
      await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { mode: 0o700 });
      await writeFile(join(folder, 'authorized_keys'), publicKey, { mode: 0o600 });
    }),
  ]);
  await runCommand(['chroot', root, 'chown', '-R', 'deploy:deploy', '/home/deploy/.ssh']);
  const key = join(root, 'etc/ssh/ssh_host_ed25519_key');
  await runCommand(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', host.name, '-f', key]);
  const [type = '', text = ''] = (await readFile(`${key}.pub`, 'utf8')).split(' ');
  return `${type} ${text}`;
};
