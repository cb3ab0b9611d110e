import { Webhooks } from '@octokit/webhooks';
import type { Secret } from '@pipit/core';

/** Source: GitHub, "Validating webhook deliveries": `sha256=` and the HMAC of the raw body in hexadecimal. */
export const SIGNATURE_HEADER = 'x-hub-signature-256';

/** The secrets that made this signature of the raw body: none, when it is not GitHub's. */
export const findSigners = async (body: string, signature: string, secrets: readonly Secret[]): Promise<readonly Secret[]> => {
  if (body === '') return [];
  // Each is compared, so that the time does not tell which one matched.
  const verdicts = await Promise.all(secrets.map((secret) => new Webhooks({ secret: secret.reveal() }).verify(body, signature)));
  return secrets.filter((_secret, index) => verdicts[index] === true);
};
