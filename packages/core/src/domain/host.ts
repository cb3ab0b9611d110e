import type { AppName, Digest, HostAddress, PackageName, PackageVersion, RingName, RoleName } from '../identifiers.js';

/** A ring of one app and role: what is rolled out to, locked and advertised for. */
export interface RingRef {
  readonly app: AppName;
  readonly role: RoleName;
  readonly ring: RingName;
}

export type Labels = Readonly<Record<string, string>>;

/** A member that discovery knows, available or not. */
export interface Host {
  /** Stable for the life of the host; a receipt and a report name it. */
  readonly id: string;
  readonly address: HostAddress;
  readonly available: boolean;
  /** Why it is not available. */
  readonly reason?: string;
  /** `architecture` chooses the artifact; anything else is shown. */
  readonly attributes: Labels;
}

/** What a host keeps of an install, and what makes it count as verified. */
export interface Receipt {
  readonly version: PackageVersion;
  /** Compared by the host with the bytes it installed. Without it a host is never verified. */
  readonly digest?: Digest;
  /** The rollout's; a host refuses an older one. */
  readonly sequence?: number;
}

/** A package of an app's name on a host that is not pipit's: no receipt of pipit's names its version, and it has no field of pipit's. */
export interface ForeignPackage {
  readonly name: PackageName;
  /** As the host's package manager writes it, with an epoch where it has one. */
  readonly version: string;
}

export interface HostReport {
  readonly hostId: string;
  readonly reachable: boolean;
  /** An install or another package manager is at work there: ask again. */
  readonly busy?: boolean;
  /** The health check's answer; absent when it was not asked. */
  readonly healthy?: boolean;
  /** What the vendor said, in its own words. */
  readonly raw?: string;
  readonly installed?: Receipt;
  /** What stands there in the package's place; then nothing of the app is installed. */
  readonly foreign?: ForeignPackage;
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
}
