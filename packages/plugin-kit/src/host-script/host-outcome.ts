import {
  type Digest,
  type ForeignPackage,
  type PackageVersion,
  parseDigest,
  parsePackageName,
  parsePackageVersion,
  type Receipt,
} from '@pipit/core';
import { shortText } from './short-text.js';

/** How one try on one host ended. */
export type HostOutcome =
  | {
      /** `unchanged`: the same bytes stood there already. */
      readonly state: 'installed' | 'unchanged';
      readonly installed: Required<Receipt>;
      /** The health check's answer, where one was asked for; `why` when it is bad. */
      readonly health?: { readonly healthy: true } | { readonly healthy: false; readonly why: string };
    }
  | {
      /** `refused`: the host would not; nothing was tried. */
      readonly state: 'failed' | 'refused';
      readonly error: HostFailure;
      /** What stood on the host then. */
      readonly present?: Receipt;
      /** A package of that name which stood there, and is not pipit's. */
      readonly foreign?: ForeignPackage;
    };

export interface HostFailure {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** What the script reports, with what to do about it. The script says the code and the message. */
const FAILURES: readonly { readonly code: string; readonly hint: string }[] = [
  { code: 'HOST_BUSY', hint: 'Wait until it ended, then retry. `ps` on the host shows what holds the lock.' },
  {
    code: 'HOST_CLOCK_WRONG',
    hint: 'Set the clock of the host (`timedatectl set-ntp true`), then retry: signatures and receipts go by it.',
  },
  {
    code: 'HOST_SEQUENCE_OLDER',
    hint: 'A newer rollout reached this host. If the database was restored from a backup, reconcile before rolling out again.',
  },
  { code: 'HOST_PACKAGE_HELD', hint: 'Somebody put the package on hold on purpose: ask, then `apt-mark unhold` it on the host.' },
  {
    code: 'HOST_PACKAGE_MANAGER_INTERRUPTED',
    hint: 'Pipit does not finish what it did not begin: look at `dpkg --audit` on the host, run `dpkg --configure -a` there, then retry.',
  },
  { code: 'HOST_DISK_FULL', hint: 'Free some space on the host (`apt-get clean` is a beginning), then retry.' },
  {
    code: 'HOST_UPDATE_FAILED',
    hint: "Look at the host's log below: the source must be reachable from the host and signed by the repository's key.",
  },
  {
    code: 'HOST_VERSION_NOT_OFFERED',
    hint: 'Offer the version to the ring again; if it was removed from the repository, make a new release of the commit.',
  },
  { code: 'HOST_DOWNLOAD_FAILED', hint: "Look at the host's log, then retry: the source may have been unreachable for a moment." },
  {
    code: 'HOST_DIGEST_MISMATCH',
    hint: "The repository's bytes are not those that the canary ran. Find out who changed them, then make a new release; never install these.",
  },
  {
    code: 'HOST_INSTALL_FAILED',
    hint: "The log's end says which step failed; most often it is the package's post-install script or a dependency that no source has.",
  },
  {
    code: 'HOST_INSTALL_TIMED_OUT',
    hint: 'Look at what it did last in the log; most often the post-install script waits for something. Correct it, or raise `installLimit` of the deployer.',
  },
  {
    code: 'HOST_PACKAGE_FOREIGN',
    hint: "Rename the app's repository, for its package has its name. If the app is to take that package's place, set `takeOver: true` under `apps:` in its pipeline.",
  },
  {
    code: 'HOST_PACKAGE_ESSENTIAL',
    hint: "Rename the app's repository, for its package has its name. No setting allows this.",
  },
  {
    code: 'HOST_PACKAGE_DISPLACES',
    hint: "Correct `depends` in the repository's pipit.yaml: an app may bring in other packages, and never takes away what the host has.",
  },
  {
    code: 'HOST_PACKAGE_MISNAMED',
    hint: 'This is a fault of the packager: the package has to bear the name of the app and the version that pipit gave.',
  },
  { code: 'HOST_SERVICE_NOT_RESTARTED', hint: 'Look at `systemctl status` and `journalctl -u` of the service on the host.' },
];

const BROKEN = {
  code: 'HOST_SCRIPT_BROKEN',
  message: 'The host script ended without an outcome that can be read',
  hint: "Look at the host's log: the script was killed, or the host's disk or sandbox failed it.",
} as const;

/** What to report when the script ended and left no outcome. */
export const brokenHostOutcome = (detail: string): HostFailure => ({ ...BROKEN, message: `${BROKEN.message}: ${detail}` });

const objectOf = (text: string): Readonly<Record<string, unknown>> | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    // Any object may be read by name: each field is checked where it is used.
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
};

const receiptIn = (fields: Readonly<Record<string, unknown>>): Required<Receipt> | undefined => {
  const { version, digest, sequence } = fields;
  if (typeof version !== 'string' || typeof digest !== 'string' || typeof sequence !== 'number') return undefined;
  try {
    const parsed: { version: PackageVersion; digest: Digest } = { version: parsePackageVersion(version), digest: parseDigest(digest) };
    return { ...parsed, sequence };
  } catch {
    return undefined;
  }
};

/** What stood on the host when a try failed: a version, with digest and sequence where the host's receipt spoke of it. */
const presentIn = (fields: unknown): Receipt | undefined => {
  if (typeof fields !== 'object' || fields === null || !('version' in fields) || typeof fields.version !== 'string') return undefined;
  try {
    return receiptIn({ ...fields }) ?? { version: parsePackageVersion(fields.version) };
  } catch {
    return undefined;
  }
};

const foreignIn = (fields: unknown): ForeignPackage | undefined => {
  if (typeof fields !== 'object' || fields === null || !('name' in fields) || !('version' in fields)) return undefined;
  const { name, version } = fields;
  if (typeof name !== 'string' || typeof version !== 'string') return undefined;
  try {
    return { name: parsePackageName(name), version: shortText(version) };
  } catch {
    return undefined;
  }
};

const healthIn = ({ healthy, health }: Readonly<Record<string, unknown>>): Pick<HostOutcome & { state: 'installed' }, 'health'> => {
  if (healthy === true) return { health: { healthy } };
  return healthy === false ? { health: { healthy, why: typeof health === 'string' ? shortText(health) : '' } } : {};
};

/** The receipt that the host script keeps, or undefined when the text is none (a host's file is never trusted to be whole). */
export const parseHostReceipt = (text: string): Required<Receipt> | undefined => {
  const fields = objectOf(text);
  return fields === undefined ? undefined : receiptIn(fields);
};

/** The outcome that the host script wrote. What cannot be read is a failure with code `HOST_SCRIPT_BROKEN`: never a success. */
export const parseHostOutcome = (text: string): HostOutcome => {
  const fields = objectOf(text);
  const state = fields?.state;
  if (fields !== undefined && (state === 'installed' || state === 'unchanged')) {
    const installed = receiptIn(fields);
    if (installed !== undefined) return { state, installed, ...healthIn(fields) };
  }
  if (fields !== undefined && (state === 'failed' || state === 'refused')) {
    const known = FAILURES.find((failure) => failure.code === fields.code);
    const message = fields.message;
    const present = presentIn(fields.present);
    const foreign = foreignIn(fields.foreign);
    if (known !== undefined && typeof message === 'string')
      return {
        state,
        error: { code: known.code, message: shortText(message), hint: known.hint },
        ...(present === undefined ? {} : { present }),
        ...(foreign === undefined ? {} : { foreign }),
      };
  }
  return { state: 'failed', error: brokenHostOutcome(JSON.stringify(text.slice(0, 200))) };
};
