import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SandboxGap } from '@pipit/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { minimalEnvironment, runCommand, type SandboxNetwork, type SandboxOptions, SYSTEM_PATH } from '../src/index.js';
import { buildProgram } from './build-program.js';
import { temporaryFolder } from './temporary-folder.js';

const isRoot = process.getuid?.() === 0;
const ORDINARY_UID = 65_534;
const outside = fileURLToPath(new URL('programs/outside.mjs', import.meta.url));

/** Addresses of another machine, in a network of the test's own that leads nowhere: the public one is reserved for documents (RFC 5737). */
const PUBLIC = '203.0.113.7/8080';
const ELSEWHERE = ['10.1.2.3', '100.64.1.1', '169.254.169.254', '172.16.5.5', '192.168.7.7', '198.18.1.1'].map(
  (address) => `${address}/8080`,
);
/** The machine's own: loopback, and an address of its network that is not private. */
const OWN = ['127.0.0.1/8080', '198.51.100.1/8080'];
const MAPPED = ['::ffff:10.1.2.3/8080', '::ffff:127.0.0.1/8080', '::1/8080'];

/**
 * Runs a program on a machine of its own: network namespaces for it and for the outside, with a cable between them, and a resolver at a private
 * address. Nothing in it leads to the real network.
 */
const MACHINE = `
set -e
outside=$1 addresses=$2 folder=$3 uid=$4 node=$5
shift 5
printf 'nameserver 10.1.2.3\\n' > "$folder/resolv.conf"
mount --bind "$folder/resolv.conf" "$(readlink -f /etc/resolv.conf)"
# As systemd has them: a mount that is shared with other mount namespaces, and one in it.
mkdir "$folder/shared"
mount --bind "$folder/shared" "$folder/shared"
mount --make-shared "$folder/shared"
mkdir "$folder/shared/within"
mount -t tmpfs within "$folder/shared/within"
ip link set lo up
unshare --net sleep 120 &
there=$!
trap 'kill $there $servers 2>/dev/null' EXIT
until [ "$(readlink /proc/$there/ns/net)" != "$(readlink /proc/self/ns/net)" ] && [ "$(readlink /proc/$there/exe)" != /usr/bin/unshare ]; do :; done
ip link add near type veth peer name far netns $there
ip address add 198.51.100.1/24 dev near
ip link set near up
nsenter --target $there --net sh -c "ip link set lo up; ip address add 198.51.100.2/24 dev far; ip link set far up; for each in $addresses; do ip address add \\$each/32 dev lo; done"
ip route add default via 198.51.100.2
exec 3< <(nsenter --target $there --net "$node" "$outside")
servers=$!
exec 4< <("$node" "$outside")
servers="$servers $!"
read -r _ <&3
read -r _ <&4
if [ "$uid" = 0 ]; then "$@"; else
  mknod -m 666 "$folder/tun" c 10 200
  mount --bind "$folder/tun" /dev/net/tun
  setpriv --reuid=$uid --regid=$uid --clear-groups -- "$@"
fi
grep -q "$folder/shared/within" /proc/self/mountinfo || echo "a mount of the machine is gone" >&2
`;

const isInstalled = (program: string): boolean => SYSTEM_PATH.split(':').some((folder) => existsSync(join(folder, program)));

interface Seen {
  readonly gaps: readonly SandboxGap[];
  readonly reached: Readonly<Record<string, readonly string[]>>;
  readonly said?: { readonly stdout: string; readonly stderr: string };
}

let programFolder: string;
let program: string;
beforeAll(async () => {
  programFolder = await mkdtemp('/tmp/pipit-kit-program-');
  await chmod(programFolder, 0o755);
  program = await buildProgram('reach-from-sandbox', programFolder);
});
afterAll(() => rm(programFolder, { recursive: true, force: true }));

const onMachine = async (
  uid: number,
  given: {
    readonly networks?: readonly string[];
    readonly network?: SandboxNetwork;
    readonly programs?: SandboxOptions['programs'];
    readonly targets?: readonly string[];
    readonly script?: string;
  },
): Promise<Seen> => {
  const scene = await temporaryFolder('/var/tmp');
  await chmod(scene, 0o755);
  const folder = join(scene, 'work');
  await mkdir(folder);
  await writeFile(join(scene, 'resolv.conf'), '');
  if (uid !== 0) await runCommand(['chown', `${uid}:${uid}`, folder], { cwd: '/', env: minimalEnvironment('/') });
  const { network = { mode: 'outbound', allow: [] }, networks = [], targets = [], programs, script } = given;
  const input = { options: { hidden: [], network, ...(programs === undefined ? {} : { programs }) }, folder, targets, networks, script };
  const addresses = [PUBLIC, ...ELSEWHERE].map((target) => target.split('/')[0]).join(' ');
  const words = [
    'unshare',
    '--net',
    '--mount',
    '--',
    'bash',
    '-c',
    MACHINE,
    'machine',
    outside,
    addresses,
    scene,
    `${uid}`,
    process.execPath,
  ];
  const argv = [...words, process.execPath, program, JSON.stringify(input)];
  const { stdout, stderr } = await runCommand(argv, { cwd: '/', env: minimalEnvironment('/'), timeoutMs: 60_000 });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Seen;
};

describe.each([
  ['root', 0],
  ['an ordinary user', ORDINARY_UID],
])('the network of a sandbox made by %s', (_who, uid) => {
  beforeEach(({ skip }) => {
    skip(!isRoot, 'only root can make networks to try it in');
    skip(!existsSync('/dev/net/tun'), 'this machine has no /dev/net/tun');
    skip(!['slirp4netns', 'nft'].every(isInstalled), 'slirp4netns or nftables is not installed');
  });

  const all = [PUBLIC, ...ELSEWHERE, ...OWN, ...MAPPED];

  it('is the outside only with outbound, nothing with none, and everything with full', async () => {
    const { reached, gaps } = await onMachine(uid, { targets: all, networks: ['full', 'outbound', 'none'] });
    expect(gaps).toEqual([]);
    expect(reached.full).toEqual([PUBLIC, ...ELSEWHERE, ...OWN, '::ffff:10.1.2.3/8080', '::ffff:127.0.0.1/8080'].sort());
    expect(reached.outbound).toEqual([PUBLIC]);
    expect(reached.none).toEqual([]);
  });

  it('resolves names by a resolver at a private address, of which nothing else is reached', async () => {
    const script =
      'getent ahostsv4 registry.example | cut -d" " -f1 | sort -u; cat /etc/resolv.conf; timeout 3 bash -c "exec 3<>/dev/tcp/192.0.2.3/8080" 2>/dev/null && echo other';
    const { said, reached } = await onMachine(uid, { script, targets: ['registry.example/8080'], networks: ['outbound'] });
    expect(said?.stdout).toBe('203.0.113.7\nnameserver 192.0.2.3\n');
    expect(reached.outbound).toEqual(['registry.example/8080']);
  });

  it('reaches what the config allows: an address, a network, a port of it', async () => {
    const allow = [
      { host: '10.1.2.3', port: 8080 },
      { host: '192.168.0.0/16' },
      { host: '172.16.5.5', port: 80 },
      { host: '198.51.100.1' },
    ];
    const { reached } = await onMachine(uid, { targets: all, networks: ['outbound'], network: { mode: 'outbound', allow } });
    expect(reached.outbound).toEqual([PUBLIC, '10.1.2.3/8080', '192.168.7.7/8080', '198.51.100.1/8080', '::ffff:10.1.2.3/8080'].sort());
  });

  it('cannot be opened from inside, nor passed by with a socket that is bound to the device', async () => {
    const bound = `python3 -c '
import socket
s = socket.socket(); s.settimeout(2); s.setsockopt(socket.SOL_SOCKET, 25, b"tap0")
try:
  s.connect(("10.1.2.3", 8080)); print("connected")
except OSError as e: print("refused")
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.setsockopt(socket.SOL_SOCKET, 25, b"tap0")
try:
  u.sendto(b"x", ("10.1.2.3", 53)); print("sent")
except OSError as e: print("refused")
'`;
    const script = `nft flush ruleset 2>/dev/null && echo flushed; ip route add 10.0.0.0/8 via 192.0.2.2 2>/dev/null && echo routed; ip link set tap0 down 2>/dev/null && echo down; ${bound}`;
    expect((await onMachine(uid, { script })).said?.stdout).toBe('refused\nrefused\n');
  });

  it('is reported where it cannot be had, and the command then has all of it', async () => {
    const { gaps, reached } = await onMachine(uid, {
      programs: { slirp4netns: 'no-such-program' },
      targets: OWN,
      networks: ['outbound', 'none'],
    });
    expect(gaps).toEqual([
      {
        name: 'network',
        detail: expect.stringMatching(
          /^network: outbound cannot be had \(no-such-program is not installed\): .* whole network of this machine/,
        ),
        hint: expect.stringContaining('slirp4netns'),
      },
    ]);
    expect(reached).toEqual({ outbound: OWN, none: [] });
  });
});
