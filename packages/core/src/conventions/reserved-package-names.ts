import type { AppName } from '../identifiers.js';

/**
 * Names of packages that hosts cannot do without, by what is Essential or of Priority required or important in Debian 12 and 13 and Ubuntu, the
 * libraries that those need, and what dnf protects. It is the early word only: each host looks at its own packages.
 */
const RESERVED: ReadonlySet<string> = new Set(
  `adduser apt apt-utils base-files base-passwd bash bsdutils coreutils coreutils-from-uutils cpio cron cron-daemon-common dash dbus debconf
  debconf-i18n debian-archive-keyring debianutils diffutils dmidecode dmsetup dnf dpkg e2fsprogs fdisk filesystem findutils gcc-12-base
  gcc-14-base glibc gnu-coreutils gpgv grep gzip hostname ifupdown init init-system-helpers initramfs-tools iproute2 iputils-ping
  isc-dhcp-client isc-dhcp-common kernel kernel-core kmod less libacl1 libapt-pkg6.0 libapt-pkg7.0 libattr1 libaudit-common libaudit1
  libblkid1 libbz2-1.0 libc-bin libc6 libcap-ng0 libcap2 libcom-err2 libcrypt1 libcryptsetup12 libdb5.3 libdb5.3t64 libdebconfclient0
  libdevmapper1.02.1 libelf1 libext2fs2 libext2fs2t64 libffi8 libgcc-s1 libgcrypt20 libgmp10 libgnutls30 libgnutls30t64 libgpg-error0
  libhogweed6 libidn2-0 libjson-c5 libkmod2 liblz4-1 liblzma5 libmd0 libmount1 libncursesw6 libnettle8 libp11-kit0 libpam-modules
  libpam-modules-bin libpam-runtime libpam0g libpcre2-8-0 libproc2-0 libreadline8 libseccomp2 libselinux1 libsemanage-common libsemanage2
  libsepol2 libsmartcols1 libss2 libssl3 libssl3t64 libstdc++6 libsystemd-shared libsystemd0 libtasn1-6 libtinfo6 libudev1 libunistring2
  libunistring5 libuuid1 libxtables12 libxxhash0 libzstd1 linux-base login login.defs logrotate logsave lsb-base mawk mount nano ncurses-base
  ncurses-bin ncurses-libs netbase nftables openssl-libs passwd perl perl-base procps readline-common rpm rpm-libs rust-coreutils sed
  sensible-utils setup shadow-utils sudo systemd systemd-libs systemd-sysv systemd-udev sysvinit-core sysvinit-utils tar tasksel-data tzdata
  ubuntu-keyring ubuntu-minimal ucf udev usrmerge util-linux util-linux-core util-linux-extra vim-common vim-tiny whiptail yum zlib1g`.split(
    /\s+/,
  ),
);

/** Whether an app of this name would replace a package that hosts cannot do without, for an app's package has the app's name. */
export const isReservedPackageName = (app: AppName): boolean => RESERVED.has(app);
