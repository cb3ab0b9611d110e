import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Secret } from '@pipit/core';

/** The header of the signature: `sha256=` and the HMAC of the raw body in lower-case hexadecimal. */
export const SIGNATURE_HEADER = 'x-pipit-signature-256';
/** The header of the delivery's id: the same when the same push is sent again. */
export const DELIVERY_HEADER = 'x-pipit-delivery';

export const signBody = (body: Uint8Array, secret: Secret): string =>
  `sha256=${createHmac('sha256', secret.reveal()).update(body).digest('hex')}`;

/** Whether one of the secrets made this signature. It takes equally long for every wrong one. */
export const isSignedBy = (signature: string, body: Uint8Array, secrets: readonly Secret[]): boolean => {
  const given = Buffer.from(signature);
  // Each is compared, so that the time does not tell which one matched.
  const matches = secrets.map((secret) => {
    const expected = Buffer.from(signBody(body, secret));
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
  return matches.includes(true);
};
