/** What PostgreSQL's text and jsonb cannot hold: the zero character, and halves of a character outside the basic plane. */
const UNSTORABLE = /\0|\p{Surrogate}/gu;

/** A webhook may bring any text; the replacement character stands for what cannot be stored. */
export const storableText = (text: string): string => text.replace(UNSTORABLE, '\uFFFD');

/** How JSON writes what cannot be stored; a backslash that stands for itself may look like it. */
const MAY_BE_UNSTORABLE = /\\u(?:0000|d[89a-f])/;

/** The same for every text and every key within JSON. */
export const storableJson = (value: unknown): string => {
  const text = JSON.stringify(value);
  return MAY_BE_UNSTORABLE.test(text) ? storableJsonOf(value) : text;
};

const storableJsonOf = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) => {
    if (typeof each === 'string') return storableText(each);
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return each;
    return Object.fromEntries(Object.entries(each).map(([key, inner]) => [storableText(key), inner]));
  });
