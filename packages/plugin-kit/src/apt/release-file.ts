/** What a suite's Release file says that readers of the suite need. */
export interface ReleaseFile {
  readonly architectures: readonly string[];
  /** Path below `dists/<suite>` -> lower-case hexadecimal SHA256. */
  readonly sha256: ReadonlyMap<string, string>;
}

/** Reads a Release file, or the clear text of an InRelease file. Source: https://wiki.debian.org/DebianRepository/Format */
export const parseReleaseFile = (text: string): ReleaseFile => {
  const sha256 = new Map<string, string>();
  let section = '';
  let architectures: readonly string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const field = /^([A-Za-z0-9-]+):(.*)$/s.exec(line);
    if (field !== null) {
      section = field[1] ?? '';
      if (section === 'Architectures') architectures = (field[2] ?? '').split(/\s+/).filter((word) => word !== '');
      continue;
    }
    const entry = section === 'SHA256' ? /^ +([0-9a-f]{64}) +\d+ +(\S+)$/.exec(line) : null;
    if (entry !== null) sha256.set(entry[2] ?? '', entry[1] ?? '');
  }
  return { architectures, sha256 };
};
