import { existsSync, lstatSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { join } from 'node:path';

/** One thing that is shown of the machine: a folder or file read-only at its own path, or a link. */
export type SystemPart = { readonly path: string; readonly real: string } | { readonly path: string; readonly link: string };

/** Top folders of programs and libraries; on most systems links into /usr. Source: hier(7), file-hierarchy(7). */
const PROGRAM_FOLDERS = /^(?:usr|bin|sbin|lib[a-z0-9]*)$/;

/**
 * What programs need of /etc to run at all: the loader, names and certificates, time and language, interpreters. Nothing here holds a key or
 * a password on any common system. Left out on purpose, because they often do: gitconfig, npmrc, pip.conf, apt, environment, profile, ssh.
 */
const ETC_FILES: readonly RegExp[] = [
  // The dynamic loader, and what /usr/bin links to.
  /^(?:ld\.so\.(?:cache|conf|conf\.d)|alternatives)$/,
  // Names, networks, and certificates.
  /^(?:nsswitch\.conf|hosts|host\.conf|services|protocols|ca-certificates|ca-certificates\.conf|crypto-policies)$/,
  // Time, language, file types. Each mount costs bubblewrap time, so nothing is here that only a terminal needs.
  /^(?:localtime|timezone|locale\.(?:alias|conf)|mime\.types|fonts|mke2fs\.conf|xml|sgml)$/,
  // What system this is.
  /^(?:debian_version|os-release|lsb-release|redhat-release|centos-release|fedora-release|system-release)$/,
  // Interpreters and tools of packaging.
  /^(?:perl|python[0-9.]*|java|java-[a-z0-9.-]+|maven|rpm)$/,
];

/** Parts of folders in /etc whose other parts hold keys. */
const ETC_PARTS = [
  'ssl/certs',
  'ssl/openssl.cnf',
  'pki/ca-trust',
  'pki/tls/certs',
  'pki/tls/cert.pem',
  'pki/tls/openssl.cnf',
  'pki/java',
  'dpkg/dpkg.cfg',
  'dpkg/dpkg.cfg.d',
  'dpkg/origins',
  'dpkg/shlibs.default',
  'dpkg/shlibs.override',
  'default/locale',
];

const partAt = (path: string): readonly SystemPart[] => (existsSync(path) ? [{ path, real: realpathSync(path) }] : []);

const topPart = (name: string): readonly SystemPart[] => {
  const path = `/${name}`;
  return lstatSync(path).isSymbolicLink() ? [{ path, link: readlinkSync(path) }] : partAt(path);
};

/** The programs, the libraries, and of /etc what they need. Everything else of the machine is not there. */
export const systemParts = (): readonly SystemPart[] => [
  ...readdirSync('/')
    .filter((name) => PROGRAM_FOLDERS.test(name))
    .flatMap(topPart),
  ...readdirSync('/etc')
    .filter((name) => ETC_FILES.some((pattern) => pattern.test(name)))
    .flatMap((name) => partAt(join('/etc', name))),
  ...ETC_PARTS.flatMap((name) => partAt(join('/etc', name))),
];

/** The only accounts that confined code can look up: root, itself, and nobody. */
export const accountFiles = ({ uid, gid }: { readonly uid: number; readonly gid: number }, home: string): readonly [string, string] => [
  `root:x:0:0:root:/root:/usr/sbin/nologin\nsandbox:x:${uid}:${gid}:sandbox:${home.replaceAll(/[:\n]/g, '_')}:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin`,
  `root:x:0:\nsandbox:x:${gid}:\nnogroup:x:65534:`,
];
