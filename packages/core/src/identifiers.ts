import { PluginError } from './plugin-error.js';

declare const brand: unique symbol;
/** A string that only its parser makes. It is a plain string in JSON. */
export type Branded<Name extends string> = string & { readonly [brand]: Name };

/** 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal characters. */
export type CommitSha = Branded<'CommitSha'>;
/** A full git ref, for example `refs/heads/feature/login`. */
export type RefName = Branded<'RefName'>;
/** An app's name: by convention its repository's last path segment in lower case. A Debian package name too. */
export type AppName = Branded<'AppName'>;
/** A part of an app's hosts; `app` unless configured. */
export type RoleName = Branded<'RoleName'>;
/** An ordered group of hosts, for example `canary`. */
export type RingName = Branded<'RingName'>;
/** A host name or an IP address. */
export type HostAddress = Branded<'HostAddress'>;
/** A package's name as Debian and rpm both accept it. */
export type PackageName = Branded<'PackageName'>;
/** A package's version without an epoch. */
export type PackageVersion = Branded<'PackageVersion'>;
/** A service that the host's init knows, for example `web` or `web@1.service`. */
export type UnitName = Branded<'UnitName'>;
/** sha256 of a file, or the manifest digest of an image. */
export type Digest = `sha256:${string}`;

interface Rule {
  readonly what: string;
  readonly code: string;
  readonly pattern: RegExp;
  readonly expected: string;
  readonly maxLength: number;
}

const parser =
  <T extends string>(rule: Rule) =>
  (text: string): T => {
    if (text.length <= rule.maxLength && rule.pattern.test(text)) return text as T; // the pattern has just proved it
    throw new PluginError({
      code: rule.code,
      message: `${JSON.stringify(text.slice(0, 200))} is not a valid ${rule.what}`,
      hint: `Expected ${rule.expected}, at most ${rule.maxLength} characters.`,
      recovery: 'stop',
    });
  };

/** None of these patterns lets a text begin with `-` or hold a control character, a space or a quote: they go into arguments and paths. */
export const parseCommitSha = parser<CommitSha>({
  what: 'commit',
  code: 'INVALID_COMMIT',
  pattern: /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/,
  expected: '40 or 64 lower-case hexadecimal characters',
  maxLength: 64,
});
/** Source: git-check-ref-format(1), which would allow quotes, odd spaces and characters that turn the direction of what is shown. */
export const parseRefName = parser<RefName>({
  what: 'git ref',
  code: 'INVALID_REF',
  pattern: /^refs\/(?!.*(?:\/\.|\.\.|\/\/|@\{|\.lock(?:\/|$)|\/$|\.$))[^\s\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069~^:?*[\\'"`]+$/u,
  expected: 'a full ref such as refs/heads/main, without spaces and quotes',
  maxLength: 1024,
});
/** Source: Debian Policy 5.6.1 (package names), which is also a safe folder, tag and DNS-like name. */
export const parseAppName = parser<AppName>({
  what: 'app name',
  code: 'INVALID_APP',
  pattern: /^[a-z0-9][a-z0-9+.-]+$/,
  expected: 'lower-case letters, digits, "+", "-" and "."',
  maxLength: 100,
});
export const parseRoleName = parser<RoleName>({
  what: 'role',
  code: 'INVALID_ROLE',
  pattern: /^[a-z0-9][a-z0-9-]*$/,
  expected: 'lower-case letters, digits and "-"',
  maxLength: 60,
});
export const parseRingName = parser<RingName>({
  what: 'ring',
  code: 'INVALID_RING',
  pattern: /^[a-z0-9][a-z0-9-]*$/,
  expected: 'lower-case letters, digits and "-"',
  maxLength: 60,
});
/** Source: RFC 1123 host names, IPv4, IPv6 (without a zone). */
export const parseHostAddress = parser<HostAddress>({
  what: 'host address',
  code: 'INVALID_ADDRESS',
  pattern: /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+)$/,
  expected: 'a host name, an IPv4 or an IPv6 address',
  maxLength: 253,
});
export const parsePackageName = parser<PackageName>({
  what: 'package name',
  code: 'INVALID_PACKAGE_NAME',
  pattern: /^[a-z0-9][a-z0-9+.-]+$/,
  expected: 'lower-case letters, digits, "+", "-" and "."',
  maxLength: 100,
});
/** Source: deb-version(7) without epoch; rpm allows no more. */
export const parsePackageVersion = parser<PackageVersion>({
  what: 'package version',
  code: 'INVALID_VERSION',
  pattern: /^[0-9][A-Za-z0-9.+~-]*$/,
  expected: 'a digit, then letters, digits, ".", "+", "~" and "-"; no epoch',
  maxLength: 200,
});
/** Source: systemd.unit(5). */
export const parseUnitName = parser<UnitName>({
  what: 'service name',
  code: 'INVALID_SERVICE',
  pattern: /^[A-Za-z0-9_][A-Za-z0-9:_.@-]*$/,
  expected: 'letters, digits, ":", "_", ".", "@" and "-"',
  maxLength: 200,
});
export const parseDigest = parser<Digest>({
  what: 'digest',
  code: 'INVALID_DIGEST',
  pattern: /^sha256:[0-9a-f]{64}$/,
  expected: '"sha256:" and 64 lower-case hexadecimal characters',
  maxLength: 71,
});
