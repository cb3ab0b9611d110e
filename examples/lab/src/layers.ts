import { copyFile, link, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { aptSourceLine, ensureBaseImage, type Image, imageKey, LEFT_OUT } from './base-image.js';
import { cachedFolder } from './components/cached-folder.js';
import { consulProgram } from './components/consul-program.js';
import { imageCacheFolder } from './image-cache-folder.js';
import { runCommand } from './run-command.js';

/** What is installed on top of the base for a role, and what runs in it afterwards (needs the network). */
interface LayerRecipe {
  readonly packages: readonly string[];
  readonly commands?: readonly (readonly string[])[];
}

/** Roles of hosts that need more than the base. Each is built when a host first asks for it. */
export const LAYERS = {
  /** FPM with all it needs for deb and rpm, git, and what builds a small program. */
  build: {
    packages: ['ruby', 'binutils', 'rpm', 'dpkg-dev', 'git', 'xz-utils', 'rsync'],
    commands: [['gem', 'install', '--no-document', 'fpm', '--version', '1.18.0']],
  },
  /** aptly, apt-ftparchive, gpg, and nginx to serve what they publish. */
  repository: { packages: ['aptly', 'apt-utils', 'gnupg', 'nginx-light', 'make', 'xz-utils'] },
  /** A host of rpms: dnf, and what builds rpms and makes a signed repository of them. */
  rpm: { packages: ['dnf', 'rpm', 'createrepo-c', 'gnupg'] },
  /** HAProxy. */
  balancer: { packages: ['haproxy', 'socat'] },
  /** Puppet 7 with hiera. */
  puppet: { packages: ['puppet-agent'] },
  /** A Consul agent, with a service that starts when it has a configuration. */
  consul: { packages: [] },
  /** A host that upgrades itself. */
  'unattended-upgrades': { packages: ['unattended-upgrades'] },
  /** What Ansible's modules need on a host that they manage. */
  ansible: { packages: ['python3', 'python3-apt'] },
} as const satisfies Record<string, LayerRecipe>;

export type LayerName = keyof typeof LAYERS;

/** Installs in an overlay over the base, in mounts of its own. policy-rc.d: no daemon starts while it is built. */
const INSTALL = `set -eu
root=$1; upper=$2; work=$3; lower=$4; bundle=$5; shift 5
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in null zero full random urandom tty; do touch "$root/dev/$node"; mount --bind "/dev/$node" "$root/dev/$node"; done
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
cp /etc/resolv.conf "$root/tmp/resolv.conf"; mount --bind "$root/tmp/resolv.conf" "$root/etc/resolv.conf"
cp "$bundle" "$root/tmp/certificates"
printf '#!/bin/sh\\nexit 101\\n' > "$root/usr/sbin/policy-rc.d"; chmod 755 "$root/usr/sbin/policy-rc.d"
run() { chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \\
  DEBIAN_FRONTEND=noninteractive SSL_CERT_FILE=/tmp/certificates "$@"; }
cp "$root/../sources.list" "$root/etc/apt/sources.list"
run apt-get -qq update --error-on=any
run apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root EXCLUDES "$@" >/dev/null
while read -r line; do eval "run $line" >/dev/null; done < "$root/../commands"
: > "$root/etc/apt/sources.list"
rm -rf "$root/usr/sbin/policy-rc.d" "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb
`.replace('EXCLUDES', LEFT_OUT.map((option) => `-o 'Dpkg::Options::=--${option}'`).join(' '));

const CONSUL_UNIT = `[Unit]
Description=Consul agent
ConditionPathExists=/etc/consul.json
After=network.target
[Service]
ExecStart=/usr/local/bin/consul agent -config-file=/etc/consul.json
Restart=always
RestartSec=1
KillSignal=SIGTERM
[Install]
WantedBy=multi-user.target
`;

/** Has files only, so it goes over any other layer. */
const consulLayer = async (signal: AbortSignal | undefined): Promise<string> => {
  const program = await consulProgram({ ...(signal && { signal }) });
  const folder = await cachedFolder(join(imageCacheFolder(), `layer-consul-${imageKey([program, CONSUL_UNIT])}`), async (work) => {
    await mkdir(join(work, 'upper/usr/local/bin'), { recursive: true });
    await mkdir(join(work, 'upper/etc/systemd/system'), { recursive: true });
    const copy = join(work, 'upper/usr/local/bin/consul');
    await link(program, copy).catch(() => copyFile(program, copy));
    await writeFile(join(work, 'upper/etc/systemd/system/consul.service'), CONSUL_UNIT);
  });
  return join(folder, 'upper');
};

const SYSTEM_CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/**
 * The lower folders of an overlay for a host with these roles, topmost first: the base alone, or a layer over it that is built on the first call
 * and kept. Several roles make one layer of their own.
 */
export const ensureLayers = async (names: readonly LayerName[], signal?: AbortSignal): Promise<readonly string[]> => {
  const base: Image = await ensureBaseImage(signal);
  const over = names.includes('consul') ? [await consulLayer(signal)] : [];
  const sorted = [...new Set(names)].filter((name) => name !== 'consul').sort();
  if (sorted.length === 0) return [...over, base.folder];
  const recipes: readonly LayerRecipe[] = sorted.map((name) => LAYERS[name]);
  const folder = await cachedFolder(
    join(imageCacheFolder(), `layer-${sorted.join('+')}-${imageKey([base.key, recipes, INSTALL])}`),
    async (work) => {
      await Promise.all(['root', 'upper', 'overlay-work'].map((name) => mkdir(join(work, name))));
      await writeFile(join(work, 'sources.list'), aptSourceLine(base.mirror));
      const commands = recipes.flatMap((recipe) => recipe.commands ?? []);
      await writeFile(
        join(work, 'commands'),
        commands.map((argv) => `${argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')}\n`).join(''),
      );
      const paths = [join(work, 'root'), join(work, 'upper'), join(work, 'overlay-work'), base.folder];
      const bundle = process.env.SSL_CERT_FILE || SYSTEM_CERTIFICATES;
      // Its own mounts end with it, however it ends.
      await runCommand(
        ['unshare', '--mount', 'sh', '-c', INSTALL, 'sh', ...paths, bundle, ...new Set(recipes.flatMap(({ packages }) => packages))],
        { ...(signal && { signal }) },
      );
      await Promise.all(['root', 'overlay-work'].map((name) => rm(join(work, name), { recursive: true })));
      await copyFile(join(work, 'sources.list'), join(work, 'built-from'));
    },
  );
  return [...over, join(folder, 'upper'), base.folder];
};
