/** As much as a report keeps of each text of a host's own, in characters. */
const MAX_LENGTH = 4_000;

/** A host's own words, of a length that a row and a page can bear. */
export const shortText = (text: string): string => (text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 1)}…` : text);
