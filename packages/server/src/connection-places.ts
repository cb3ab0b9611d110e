import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Gives each new connection a place. When all are taken, the one that has waited longest without a whole request gives way: whoever opens connections and
 * says nothing, or says it slowly, takes no place from those who ask. Requests that are answered, and live streams, keep theirs.
 *
 * @returns takes a place; false when there is none, and the new connection was closed
 */
export const createConnectionPlaces = (server: Server, max: number): ((socket: Socket) => boolean) => {
  /** With the request that each is at; in the order in which they came. */
  const places = new Map<Socket, IncomingMessage | undefined>();
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    if (!places.has(socket)) return;
    places.set(socket, request);
    response.once('close', () => {
      if (places.get(socket) === request) places.set(socket, undefined);
    });
  });
  const makeRoom = (): boolean => {
    for (const [socket, request] of places) {
      if (request?.complete === true) continue;
      places.delete(socket);
      socket.destroy();
      return true;
    }
    return false;
  };
  return (socket) => {
    if (places.size >= max && !makeRoom()) {
      socket.destroy();
      return false;
    }
    places.set(socket, undefined);
    socket.once('close', () => places.delete(socket));
    return true;
  };
};
