import { isUtf8 } from 'node:buffer';
import { requireStorable } from '@pipit/core';
import type { FastifyInstance } from 'fastify';
import { HttpError } from './http-error.js';

const ESCAPED = /%([0-9a-f]{2})/gi;

const notUtf8 = (where: string): HttpError =>
  new HttpError({
    status: 400,
    code: 'INVALID_TEXT',
    message: `${where} is not UTF-8`,
    hint: 'Send UTF-8; in a URL, escape its bytes (%C3%A9).',
  });

/** Throws `INVALID_TEXT` (400) unless bytes are a text in UTF-8 that a database keeps unchanged. */
const requireText = (bytes: Uint8Array, where: string): void => {
  if (!isUtf8(bytes)) throw notUtf8(where);
  if (bytes.includes(0)) requireStorable('\0', where);
};

/** A body's text. A decoder would put U+FFFD in the place of what is not UTF-8, and nobody would notice. */
export const textOfBody = (body: Buffer): string => {
  if (!isUtf8(body)) throw notUtf8('the body');
  return body.toString();
};

/** The URL's bytes as it means them. A `%` that escapes nothing stands for itself, as for `URLSearchParams`. */
export const requireStorableUrl = (url: string): void =>
  requireText(
    // Node gives the bytes of the request's line as characters up to 255.
    Buffer.from(
      url.replace(ESCAPED, (_all, byte: string) => String.fromCharCode(Number.parseInt(byte, 16))),
      'latin1',
    ),
    'the URL',
  );

/**
 * Refuses, on every route and where there is none, text that cannot be stored unchanged: in the path, the query and a JSON body. Bodies of webhooks
 * are the plugin's to read, and made storable when what they told is stored. Headers are safe: HTTP forbids a zero character there.
 */
export const refuseUnstorableText = (app: FastifyInstance): void => {
  app.addHook('onRequest', async (request) => requireStorableUrl(request.raw.url ?? '/'));
  app.addHook('preValidation', async ({ body }) => {
    if (!(body instanceof Uint8Array)) requireStorable(body, 'the body');
  });
};
