/** Below this a text is a word that stands everywhere, such as a user's name: to hide it hides nothing and garbles much. */
const MIN_HIDDEN_LENGTH = 8;
/** A label or segment this long may be a token (a webhook's address, for example). */
const MAX_PLAIN_PART = 24;

const ADDRESS = /^(?:https?:\/\/)?(?:[A-Za-z0-9[][A-Za-z0-9.:\]-]*)?(?:\/[A-Za-z0-9._~/-]*)?$/;

/**
 * Whether a reference's text may be shown once no schema has made a Secret of it: a short word, a path, a host or an address without user, query and
 * anything that could be a token. Pipit works with such texts (it stores a repository's address), so they must not be hidden in what it stores.
 */
export const isPublicReference = (text: string): boolean => {
  if (text.length < MIN_HIDDEN_LENGTH) return true;
  if (!ADDRESS.test(text) || !/[./:]/.test(text)) return false;
  return text.split(/[/.:]/).every((part) => part.length <= MAX_PLAIN_PART);
};
