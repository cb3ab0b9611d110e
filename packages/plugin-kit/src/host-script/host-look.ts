import { type ForeignPackage, type PackageName, PluginError, parsePackageVersion, type Receipt } from '@pipit/core';
import { type HostOutcome, parseHostOutcome, parseHostReceipt } from './host-outcome.js';
import { shortText } from './short-text.js';

/** What a look at a host found: see `HOST_LOOK`. A look at a try says nothing of the rest. */
export interface HostLook {
  /** The try that was asked for. `stopped`: it began, nobody is at work on it, and it left no outcome. `tries`: how often it was started. */
  readonly attempt?:
    | { readonly state: 'none' | 'running' | 'stopped'; readonly tries: number }
    | { readonly state: 'ended'; readonly tries: number; readonly outcome: HostOutcome };
  /** What the package manager says of each package that is there. */
  readonly packages: readonly HostPackage[];
  /** A package of a name that was asked for which is not pipit's. */
  readonly foreign?: ForeignPackage;
  /** Packages that the package manager has left half-way and that are not pipit's, each with its state. */
  readonly broken: readonly string[];
  /** Who is at work on the host: an install of pipit's, or its package manager. */
  readonly busy: readonly string[];
  readonly health?: { readonly healthy: true } | { readonly healthy: false; readonly why: string };
  /** The end of the newest install's log. */
  readonly log: string;
}

export interface HostPackage {
  readonly name: PackageName;
  readonly isHeld: boolean;
  /** The package manager's own word, `installed` when all is well. */
  readonly status: string;
  /** With digest and sequence where the host's receipt speaks of this version. */
  readonly installed: Receipt;
}

/** A package may be installed for several architectures. */
const MAX_ARCHITECTURES = 16;
/** What is wrong with a host fits many times over; more is a host that fills the memory. */
const MAX_LINES = 10_000;

const broken = (line: string): PluginError =>
  new PluginError({
    code: 'HOST_LOOK_BROKEN',
    message: `A host described itself in a way that cannot be read: ${JSON.stringify(line.slice(0, 200))}`,
    hint: "Look what the login shell's start-up files print, and whether dpkg-query or rpm works on the host.",
    recovery: 'retry',
  });

/**
 * Reads what `HOST_LOOK` printed, strictly: a line that is none of its own is an error and never a guess.
 *
 * @param names the packages that were asked for
 * @throws PluginError `HOST_LOOK_BROKEN` (retry)
 */
export const parseHostLook = (text: string, names: readonly PackageName[]): HostLook => {
  const at = text.indexOf('\nlog\n');
  const lines = text.slice(0, Math.max(at, 0)).split('\n');
  if (at < 0 || lines[0] !== 'look 1') throw broken(lines[0] ?? '');
  if (lines.length > MAX_LINES) throw broken(`${lines.length} lines`);
  const packages: HostPackage[] = [];
  const held = new Set<string>();
  const unfinished: string[] = [];
  const busy: string[] = [];
  let attempt: HostLook['attempt'];
  let health: HostLook['health'];
  let foreign: ForeignPackage | undefined;
  const nameOf = (word: string | undefined, line: string): PackageName => {
    const name = names.find((each) => each === word);
    if (name === undefined) throw broken(line);
    return name;
  };
  const receipts = new Map<string, Required<Receipt> | undefined>();
  for (const line of lines.slice(1)) {
    const [what = '', ...words] = line.split(' ');
    const rest = line.slice(what.length + 1);
    switch (what) {
      case 'try': {
        const [state = '', tries = ''] = words;
        if (!/^\d+$/.test(tries)) throw broken(line);
        if (state === 'none' || state === 'running' || state === 'stopped') attempt = { state, tries: Number(tries) };
        else if (state === 'ended') attempt = { state, tries: Number(tries), outcome: parseHostOutcome('') };
        else throw broken(line);
        break;
      }
      case 'outcome':
        if (attempt?.state !== 'ended') throw broken(line);
        attempt = { ...attempt, outcome: parseHostOutcome(rest) };
        break;
      case 'package': {
        const [name, want, status, version] = words;
        if (want === undefined || status === undefined) throw broken(line);
        if (version === undefined || version === '') break;
        const known = nameOf(name, line);
        if (packages.filter((each) => each.name === known).length >= MAX_ARCHITECTURES) throw broken(line);
        packages.push({ name: known, isHeld: want === 'hold', status, installed: { version: parsePackageVersion(version) } });
        break;
      }
      case 'foreign':
        foreign = { name: nameOf(words[0], line), version: shortText(words.slice(1).join(' ')) };
        break;
      case 'receipt':
        receipts.set(nameOf(words[0], line), parseHostReceipt(words.slice(1).join(' ')));
        break;
      case 'held':
        held.add(nameOf(words[0], line));
        break;
      case 'broken':
        unfinished.push(shortText(rest));
        break;
      case 'busy':
        busy.push(shortText(rest));
        break;
      case 'healthy':
        if (words[0] !== 'yes' && words[0] !== 'no') throw broken(line);
        health = words[0] === 'yes' ? { healthy: true } : { healthy: false, why: shortText(words.slice(1).join(' ')) };
        break;
      default:
        throw broken(line);
    }
  }
  return {
    ...(attempt === undefined ? {} : { attempt }),
    packages: packages.map((each) => {
      const receipt = receipts.get(each.name);
      const isOurs = receipt?.version === each.installed.version;
      return {
        ...each,
        isHeld: each.isHeld || held.has(each.name),
        installed: isOurs && receipt !== undefined ? receipt : each.installed,
      };
    }),
    ...(foreign === undefined ? {} : { foreign }),
    broken: unfinished,
    busy,
    ...(health === undefined ? {} : { health }),
    log: text.slice(at + '\nlog\n'.length),
  };
};
