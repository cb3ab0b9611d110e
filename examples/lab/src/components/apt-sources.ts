import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where this machine gets Debian from. */
export interface DebianMirror {
  readonly url: string;
  /** Keyring or fingerprints, as apt's `signed-by` wants them; absent when the source names none. */
  readonly signedBy?: string;
}

interface AptSource extends DebianMirror {
  readonly suites: readonly string[];
  readonly components: readonly string[];
}

const words = (text: string | undefined): string[] => (text ?? '').split(/\s+/).filter(Boolean);

/** Reads a classic `sources.list`: `deb [options] url suite component...`. */
const parseClassic = (text: string): AptSource[] =>
  text.split('\n').flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
    if (match === null) return [];
    const [, options, url = '', suite = '', components] = match;
    const signedBy = words(options)
      .find((option) => option.toLowerCase().startsWith('signed-by='))
      ?.slice('signed-by='.length);
    return [{ url, suites: [suite], components: words(components), ...(signedBy && { signedBy }) }];
  });

/** Reads a deb822 `.sources` file: stanzas of `Field: value`, parted by empty lines. */
const parseDeb822 = (text: string): AptSource[] =>
  text
    .replace(/^#.*\n?/gm, '')
    .split(/\n\s*\n/)
    .flatMap((stanza) => {
      const fields = new Map<string, string>();
      for (const match of stanza.matchAll(/^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)/gm))
        fields.set((match[1] ?? '').toLowerCase(), (match[2] ?? '').trim());
      if (fields.get('enabled')?.toLowerCase() === 'no') return [];
      if (!words(fields.get('types')).includes('deb')) return [];
      const signedBy = fields.get('signed-by');
      // A key written out in the stanza cannot be repeated on a `deb` line.
      const keyring = signedBy?.includes('\n') ? undefined : signedBy;
      return words(fields.get('uris')).map((url) => ({
        url,
        suites: words(fields.get('suites')),
        components: words(fields.get('components')),
        ...(keyring && { signedBy: keyring }),
      }));
    });

/**
 * Finds the machine's own Debian mirror in the text of its apt sources.
 * @param files Names and contents of the source files.
 * @param codename The machine's release (`bookworm`): the mirror is the source that has exactly that suite and `main`.
 */
export const findDebianMirror = (
  files: readonly { readonly name: string; readonly text: string }[],
  codename: string,
): DebianMirror | undefined => {
  const sources = files.flatMap(({ name, text }) => (name.endsWith('.sources') ? parseDeb822(text) : parseClassic(text)));
  const source = sources.find(({ suites, components }) => suites.includes(codename) && components.includes('main'));
  if (source === undefined) return undefined;
  return { url: source.url, ...(source.signedBy && { signedBy: source.signedBy }) };
};

const readIfThere = async (path: string): Promise<string> =>
  readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });

/**
 * The Debian mirror of this machine, from `/etc/apt`.
 * @throws Error when the machine has no apt source of its own Debian release.
 */
export const readDebianMirror = async (etcApt = '/etc/apt'): Promise<DebianMirror> => {
  const parts = join(etcApt, 'sources.list.d');
  const names = (await readdir(parts).catch(() => [])).filter((name) => /\.(list|sources)$/.test(name));
  const paths = [...names.sort().map((name) => join(parts, name)), join(etcApt, 'sources.list')];
  const files = await Promise.all(paths.map(async (name) => ({ name, text: await readIfThere(name) })));
  const codename = /^VERSION_CODENAME=(\S+)/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1];
  const mirror = codename === undefined ? undefined : findDebianMirror(files, codename);
  if (mirror === undefined)
    throw new Error(
      `No apt source in ${etcApt} has the suite ${codename ?? '(no VERSION_CODENAME in /etc/os-release)'} and the component main. The lab downloads from the machine's own Debian mirror: add it to the apt sources.`,
    );
  return mirror;
};
