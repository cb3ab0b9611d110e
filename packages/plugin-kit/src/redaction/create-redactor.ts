import { secretForms } from './secret-forms.js';

const HIDDEN = '[secret]';
/** A stream that is one overlapping secret without end is let go in pieces of this size. */
const MAX_HELD_CHARACTERS = 64 * 1024;

export interface Redactor {
  /** Hides this text from now on, also in base64, URI-encoded, JSON-escaped and shell-quoted form. A text shorter than 4 characters is ignored. */
  register(text: string): void;
  /** Takes back what was registered: it was no secret. */
  release(text: string): void;
  /** The text with each occurrence replaced by `[secret]`; occurrences that overlap are hidden together. */
  redact(text: string): string;
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

/** Hides registered secrets in logs, errors and records. */
export const createRedactor = (): Redactor => {
  // Longest first, so that a secret is not found in pieces by a shorter one that begins alike.
  let forms: readonly string[] = [];
  const registered = new Set<string>();
  const update = (): void => {
    forms = [...new Set([...registered].flatMap(secretForms))].sort((a, b) => b.length - a.length);
  };

  const spansOf = (text: string): readonly Span[] => {
    const spans: Span[] = [];
    for (const form of forms)
      for (let at = text.indexOf(form); at !== -1; at = text.indexOf(form, at + 1)) spans.push([at, at + form.length]);
    return merge(spans);
  };

  /** How many characters at the end may be the beginning of a secret. */
  const heldLength = (text: string): number => {
    for (let length = Math.min(text.length, (forms[0]?.length ?? 1) - 1); length > 0; length -= 1) {
      const end = text.slice(-length);
      if (forms.some((form) => form.length > length && form.startsWith(end))) return length;
    }
    return 0;
  };

  return {
    register(text) {
      registered.add(text);
      update();
    },
    release(text) {
      registered.delete(text);
      update();
    },
    redact: (text) => hide(text, spansOf(text)),
    stream() {
      let held = '';
      /** So many characters of `held` are part of a secret that was already shown as hidden. */
      let hiddenLength = 0;
      const spans = (): readonly Span[] => merge([...(hiddenLength > 0 ? [[0, hiddenLength] as const] : []), ...spansOf(held)]);
      return {
        write(chunk) {
          held += chunk;
          const found = spans();
          const keep = heldLength(held);
          let cut = held.length - keep;
          const across = found.find(([start, end]) => start < cut && cut < end);
          if (across !== undefined && held.length > MAX_HELD_CHARACTERS) {
            const [, end] = across;
            const shown = hide(
              held.slice(0, end),
              found.filter((span) => span[1] <= end),
            );
            // Its end may be the beginning of another secret, so it is looked at again.
            held = held.slice(cut);
            hiddenLength = end - cut;
            return shown;
          }
          if (across !== undefined) cut = across[0];
          const shown = hide(
            held.slice(0, cut),
            found.filter(([, end]) => end <= cut),
          );
          held = held.slice(cut);
          hiddenLength = Math.max(0, hiddenLength - cut);
          return shown;
        },
        flush() {
          const shown = hide(held, spans());
          held = '';
          hiddenLength = 0;
          return shown;
        },
      };
    },
  };
};
