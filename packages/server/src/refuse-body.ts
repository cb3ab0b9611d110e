import type { FastifyRequest } from 'fastify';
import type { Access } from './access.js';
import { HttpError } from './http-error.js';

/** Refuses a GET with a body before any of it is read: nothing of ours looks at one, and it could be as long as it likes. A hook reads its own. */
export const refuseBodyOfGet = ({ method, headers }: FastifyRequest, access: Access): void => {
  if (access.by === 'hook' || (method !== 'GET' && method !== 'HEAD')) return;
  const length = headers['content-length'];
  if (headers['transfer-encoding'] === undefined && (length === undefined || Number(length) === 0)) return;
  throw new HttpError({
    status: 400,
    code: 'BODY_NOT_TAKEN',
    message: 'This call takes no body',
    hint: 'Put what you ask for into the path and the query.',
    // What is left of the body is not read.
    headers: { connection: 'close' },
  });
};
