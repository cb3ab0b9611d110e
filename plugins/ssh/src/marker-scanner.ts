/** Begins each marker; a character that no program's message has reason to print. */
const MARKER_START = '\x1e';

/** What the wrapper on the host says between the command's own output: see `REMOTE_WRAPPER`. */
export interface MarkerScanner {
  /** Takes a piece of the stream; gives what of it is the command's. */
  add(text: string): string;
  /** What stood before the first marker: ssh's own messages and the host's greeting. */
  readonly preamble: () => string;
  readonly hasBegun: () => boolean;
  /** What the wrapper said at the end: an exit code, or why there is none. */
  readonly end: () => string | undefined;
}

const MAX_PREAMBLE = 16 * 1024;
/** More than any exit code or reason: a host that never ends its last marker must not fill the memory. */
const MAX_END_LENGTH = 200;

/** Takes the wrapper's markers out of a stream that comes in pieces of any size. */
export const createMarkerScanner = (nonce: string): MarkerScanner => {
  const begin = `${MARKER_START}${nonce} begin\n`;
  const end = `${MARKER_START}${nonce} end `;
  let held = '';
  let preamble = '';
  let hasBegun = false;
  let ended: string | undefined;

  /** What may be given out: all but what could be the beginning of a marker. */
  const release = (marker: string): string => {
    const at = held.lastIndexOf(MARKER_START);
    const mayBegin = at >= 0 && marker.startsWith(held.slice(at, at + marker.length));
    const given = mayBegin ? held.slice(0, at) : held;
    held = held.slice(given.length);
    return given;
  };

  return {
    add(text) {
      if (ended !== undefined) return '';
      held += text;
      if (!hasBegun) {
        const at = held.indexOf(begin);
        if (at < 0) {
          preamble = (preamble + release(begin)).slice(-MAX_PREAMBLE);
          return '';
        }
        preamble = (preamble + held.slice(0, at)).slice(-MAX_PREAMBLE);
        held = held.slice(at + begin.length);
        hasBegun = true;
      }
      const at = held.indexOf(end);
      if (at < 0) return release(end);
      const given = held.slice(0, at);
      held = held.slice(at, at + end.length + MAX_END_LENGTH);
      const [, said] = /^[^\n]*? end ([a-z0-9]+)\n/.exec(held) ?? [];
      if (said !== undefined) ended = said;
      return given;
    },
    preamble: () => (hasBegun ? preamble : preamble + held).trim(),
    hasBegun: () => hasBegun,
    end: () => ended,
  };
};
