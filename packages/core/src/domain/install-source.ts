import type { Credentials } from './credentials.js';

/** What hosts install from, by package format. A plugin adds a format by declaration merging. */
export interface InstallSources {
  deb: {
    /** For example `https://apt.example.org/web` or `file:/srv/apt`. */
    readonly uris: readonly string[];
    readonly suite: string;
    readonly components: readonly string[];
    /** Armoured public keys: the old and the new one while a key rotates. */
    readonly keys: readonly string[];
  };
  rpm: { readonly baseUrl: string; readonly keys: readonly string[] };
  oci: { readonly image: string };
}

export type Format = keyof InstallSources;

/** One place to install one format from. It may hold a credential, so pipit asks for it anew each time and never stores it. */
export type InstallSource = { [F in Format]: { readonly format: F; readonly credentials?: Credentials } & InstallSources[F] }[Format];
