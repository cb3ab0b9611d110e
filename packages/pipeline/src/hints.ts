/** What the outside said about a build: never a result, only a reason to look now. */
export interface BuildHint {
  readonly instance: string;
  readonly handle?: string;
  readonly key?: string;
  readonly commit?: string;
}

export interface Hints {
  notify(hint: BuildHint): void;
  /** Calls back on a hint that fits; returns how to stop listening. */
  listen(interest: Required<BuildHint>, wake: () => void): () => void;
}

const fits = (hint: BuildHint, interest: Required<BuildHint>): boolean =>
  hint.instance === interest.instance &&
  (hint.key === interest.key ||
    hint.handle === interest.handle ||
    (hint.key === undefined && hint.handle === undefined && hint.commit === interest.commit));

/** Hints within one process. Another replica's arrive there; whoever hears none polls. */
export const createHints = (): Hints => {
  const listeners = new Set<{ interest: Required<BuildHint>; wake: () => void }>();
  return {
    notify: (hint) => {
      for (const { interest, wake } of listeners) if (fits(hint, interest)) wake();
    },
    listen: (interest, wake) => {
      const listener = { interest, wake };
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
};
