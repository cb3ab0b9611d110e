import { findCgroupRoot } from './cgroup.js';
import { tryCommand } from './run-command.js';

/** Programs, with the Debian package that brings each. */
const PROGRAMS = { mmdebstrap: 'mmdebstrap', ip: 'iproute2', unshare: 'util-linux', nsenter: 'util-linux', 'ssh-keygen': 'openssh-client' };

/** What the kernel has to allow, each tried in namespaces that end with the attempt. */
const TRIALS: readonly (readonly [what: string, script: string])[] = [
  ['make namespaces', 'true'],
  ['mount an overlay', 'mount -t tmpfs t /mnt && cd /mnt && mkdir l u w m && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w o m'],
  ['make a bridge and links between namespaces', 'ip link add plab-try type bridge && ip link add plab-try0 type veth peer name plab-try1'],
  ['mount cgroups of version 2', 'mount -t cgroup2 c /mnt'],
];

const judge = async (): Promise<string | undefined> => {
  if (process.platform !== 'linux') return 'lab hosts are Linux namespaces, and this is not Linux';
  if (process.getuid?.() !== 0) return 'lab hosts need root';
  const found = await Promise.all(
    Object.entries(PROGRAMS).map(async ([program, name]) => {
      const { exitCode } = await tryCommand(['sh', '-c', 'command -v -- "$1"', 'sh', program]);
      return exitCode === 0 ? [] : [name];
    }),
  );
  const missing = [...new Set(found.flat())];
  if (missing.length > 0) return `missing: ${missing.join(', ')} (apt-get install ${missing.join(' ')})`;
  if ((await findCgroupRoot()) === undefined) return 'no cgroups of version 2 are mounted for writing (mount -t cgroup2)';
  for (const [what, script] of TRIALS) {
    const { exitCode, stderr } = await tryCommand([
      'unshare',
      '--mount',
      '--net',
      '--pid',
      '--uts',
      '--ipc',
      '--cgroup',
      '--fork',
      'sh',
      '-ec',
      script,
    ]);
    if (exitCode !== 0) return `this machine does not allow to ${what}: ${stderr.trim()}`;
  }
  return undefined;
};

let judgement: Promise<string | undefined> | undefined;

/** Why no lab can be made on this machine, in one line for a skipped test's reason; undefined when it can. Asked once a process. */
export const labUnavailable = (): Promise<string | undefined> => {
  judgement ??= judge();
  return judgement;
};
