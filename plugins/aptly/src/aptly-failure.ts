import { PluginError } from '@pipit/core';

/** What aptly says when another process has its database open. Recorded from 1.5.0. */
const LOCKED = /resource temporarily unavailable|unable to (?:re)?open (?:the )?(?:database|DB)|database is locked/i;
const NOT_SIGNED = /unable to (?:detached sign|clearsign)|no secret key|signing failed/i;

/**
 * What a failure that aptly reports means.
 *
 * @param said aptly's own words
 */
export const aptlyFailure = (what: string, said: string): PluginError => {
  const line =
    said
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/^ERROR: /, '') ?? '';
  if (LOCKED.test(said))
    return new PluginError({
      code: 'APTLY_DATABASE_LOCKED',
      message: `${what}: another aptly has the database open: ${line}`,
      hint: 'Wait until it ends. A running `aptly api serve` of the same folder needs -no-lock, or pipit its `api`.',
      recovery: 'retry',
    });
  if (NOT_SIGNED.test(said))
    return new PluginError({
      code: 'APTLY_SIGNING_FAILED',
      message: `${what}: gpg did not sign: ${
        said
          .trim()
          .split('\n')
          .find((text) => text.startsWith('gpg:')) ?? line
      }`,
      hint: "Look at the config's `key` and `gnupgHome`: the secret key must be there, without a passphrase. What hosts read is as it was.",
      recovery: 'stop',
    });
  return new PluginError({
    code: 'APTLY_FAILED',
    message: `${what} failed: ${line}`,
    hint: "Look at aptly's folder and its disk, and try the same command there.",
    recovery: 'reconcile',
  });
};
