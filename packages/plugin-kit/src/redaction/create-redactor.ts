import { createFormIndex, type FormIndex } from './form-index.js';
import { hexTextOf, type PlainText, plainTextOf } from './plain-text.js';
import { secretForms } from './secret-forms.js';

const HIDDEN = '[secret]';
const ESCAPE = '\u001b';
/** A stream that is one overlapping secret without end is let go in pieces of this size. */
const MAX_HELD_CHARACTERS = 64 * 1024;
/** A shorter form is found only where it stands in one piece: its letters stand at the ends of lines by chance. */
const MIN_SPLIT_LENGTH = 8;
/** What a short secret stands in by chance is not refused. */
const MIN_REFUSED_LENGTH = 8;

export interface Redactor {
  /**
   * Hides this text from now on: as it is, in base64, hexadecimal, URI-encoded, JSON-escaped and shell-quoted form, also over several lines and
   * with escape sequences and control characters in between. A text shorter than 4 characters is ignored.
   */
  register(text: string): void;
  /** Takes back what was registered: it was no secret. */
  release(text: string): void;
  /** The text with each occurrence replaced by `[secret]`; occurrences that overlap are hidden together. */
  redact(text: string): string;
  /** Whether a secret of at least 8 characters stands in the text, in any form. */
  holdsSecret(text: string): boolean;
  /** For a log that comes in pieces: a secret that is split over pieces is hidden too. */
  stream(): RedactingStream;
}

export interface RedactingStream {
  /** What may be shown so far. A possible beginning of a secret is held back. */
  write(chunk: string): string;
  /** The rest, at the end. */
  flush(): string;
}

type Span = readonly [start: number, end: number];

const merge = (spans: readonly Span[]): readonly Span[] => {
  const merged: [number, number][] = [];
  for (const [start, end] of [...spans].sort((a, b) => a[0] - b[0])) {
    const last = merged.at(-1);
    // Neighbours stay apart: two secrets in a row show as two.
    if (last !== undefined && start < last[1]) last[1] = Math.max(last[1], end);
    else merged.push([start, end]);
  }
  return merged;
};

const hide = (text: string, spans: readonly Span[]): string => {
  let shown = '';
  let position = 0;
  for (const [start, end] of spans) {
    shown += text.slice(position, start) + HIDDEN;
    position = end;
  }
  return shown + text.slice(position);
};

/** What is looked for, made when it is needed first. */
interface Search {
  readonly texts: FormIndex;
  readonly digits: FormIndex;
  readonly isEmpty: boolean;
}

const searchFor = (secrets: Iterable<string>): Search => {
  const forms = [...secrets].map(secretForms);
  const texts = forms.flatMap((form) => form.texts);
  return { texts: createFormIndex(texts), digits: createFormIndex(forms.flatMap((form) => form.digits)), isEmpty: texts.length === 0 };
};

interface Look {
  readonly spans: readonly Span[];
  /** From here on it may be the beginning of a secret. */
  readonly heldFrom: number;
}

const lookThrough = (search: Search, text: string): Look => {
  if (search.isEmpty) return { spans: [], heldFrom: text.length };
  const spans: Span[] = [];
  let heldFrom = text.length;
  const look = (index: FormIndex, { text: letters, at }: { readonly text: string; readonly at: Uint32Array }): void => {
    for (const [from, to] of index.find(letters)) {
      const start = at[from] ?? 0;
      const end = (at[to - 1] ?? 0) + 1;
      if (to - from >= MIN_SPLIT_LENGTH || end - start === to - from) spans.push([start, end]);
    }
    const beginning = index.beginningAt(letters);
    if (beginning < letters.length) heldFrom = Math.min(heldFrom, at[beginning] ?? 0);
  };
  const lookAt = (plain: PlainText): void => {
    look(search.texts, plain);
    const hex = hexTextOf(plain);
    look(search.digits, hex);
    // It may become the `0` of a `0x`, which is no digit.
    if (hex.text.endsWith('0')) look(search.digits, { text: hex.text.slice(0, -1), at: hex.at });
    heldFrom = Math.min(heldFrom, plain.openAt);
  };
  lookAt(plainTextOf(text));
  if (text.includes(ESCAPE)) lookAt(plainTextOf(text, { inEscapes: true }));
  return { spans: merge(spans), heldFrom };
};

/** Hides registered secrets in logs, errors and records. */
export const createRedactor = (): Redactor => {
  const registered = new Set<string>();
  let made: Search | undefined;
  let long: Search | undefined;
  const search = (): Search => {
    made ??= searchFor(registered);
    return made;
  };
  const forget = (): void => {
    made = undefined;
    long = undefined;
  };

  return {
    register(text) {
      if (registered.has(text)) return;
      registered.add(text);
      forget();
    },
    release(text) {
      if (registered.delete(text)) forget();
    },
    redact: (text) => hide(text, lookThrough(search(), text).spans),
    holdsSecret: (text) => {
      long ??= searchFor([...registered].filter((secret) => secret.length >= MIN_REFUSED_LENGTH));
      return lookThrough(long, text).spans.length > 0;
    },
    stream() {
      let held = '';
      /** So many characters of `held` are part of a secret that was already shown as hidden. */
      let hiddenLength = 0;
      const look = (): Look => {
        const { spans, heldFrom } = lookThrough(search(), held);
        return { spans: merge([...(hiddenLength > 0 ? [[0, hiddenLength] as const] : []), ...spans]), heldFrom };
      };
      /** Shows `held` up to a place at which no secret is cut. */
      const showTo = (cut: number, spans: readonly Span[]): string => {
        const shown = hide(
          held.slice(0, cut),
          spans.filter(([, end]) => end <= cut),
        );
        held = held.slice(cut);
        hiddenLength = Math.max(0, hiddenLength - cut);
        return shown;
      };
      return {
        write(chunk) {
          held += chunk;
          const { spans, heldFrom } = look();
          const across = spans.find(([start, end]) => start < heldFrom && heldFrom < end);
          if (held.length <= MAX_HELD_CHARACTERS || (across === undefined && heldFrom >= held.length))
            return showTo(across?.[0] ?? heldFrom, spans);
          if (across !== undefined) {
            const [, end] = across;
            const shown = hide(
              held.slice(0, end),
              spans.filter((span) => span[1] <= end),
            );
            // Its end may be the beginning of another secret, so it is looked at again.
            held = held.slice(heldFrom);
            hiddenLength = end - heldFrom;
            return shown;
          }
          // A beginning that is stretched by what splits it: that is let go, and the beginning is kept.
          const shown = showTo(heldFrom, spans);
          const plain = plainTextOf(held).text;
          held = plain.length < held.length ? plain : '';
          return shown;
        },
        flush() {
          const { spans } = look();
          return showTo(held.length, spans);
        },
      };
    },
  };
};
