const marker = Symbol.for('pipit.secret');

/**
 * A text that must never be printed. It shows as `[secret]` in logs, JSON, string templates and `console.log`;
 * only {@link Secret.reveal} gives the text.
 */
export interface Secret {
  reveal(): string;
}

const hidden = '[secret]';

/** Wraps a text as a {@link Secret}. A plugin's schema calls it, for example `z.string().min(1).transform(createSecret)`. */
export const createSecret = (text: string): Secret => {
  const secret = {
    reveal: () => text,
    toString: () => hidden,
    toJSON: () => hidden,
    [Symbol.toPrimitive]: () => hidden,
    [Symbol.for('nodejs.util.inspect.custom')]: () => hidden,
    [marker]: true,
  };
  // Not enumerable, so that a spread or a logger that walks keys copies nothing.
  for (const key of Reflect.ownKeys(secret)) Object.defineProperty(secret, key, { enumerable: false });
  return Object.freeze(secret);
};

/** Recognises a {@link Secret} by its marker, so that one made by another copy of this package counts too. */
export const isSecret = (value: unknown): value is Secret => typeof value === 'object' && value !== null && marker in value;
