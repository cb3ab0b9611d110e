/** The most of a text of somebody else's that goes into a message, in characters. */
const MAX_LENGTH = 200;

/** What somebody else wrote (a check, an error) as one line that can be shown. */
export const plainText = (text: string): string => {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH - 1)}…` : line;
};
