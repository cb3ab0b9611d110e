import type { FastifyRequest } from 'fastify';

const addresses = new WeakMap<FastifyRequest, string>();

/** To be called first of all: a connection that is gone has no address any more, and may be just what is to be recorded. */
export const noteAddress = (request: FastifyRequest): void => {
  // Typed as always there, but undefined when the sender has gone already.
  const ip: string | undefined = request.ip;
  addresses.set(request, ip ?? 'gone');
};

/** Whom a request came from: the connection's other end, or what a trusted proxy says of it. */
export const addressOf = (request: FastifyRequest): string => addresses.get(request) ?? 'gone';
