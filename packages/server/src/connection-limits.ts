import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from '@pipit/core';
import { createAddressList } from './address-list.js';
import { createConnectionPlaces } from './connection-places.js';
import { isLoopback } from './listening-address.js';
import { networkOf } from './network-of.js';

/** More than all that people, hooks and replicas of a large installation hold open; each costs some 20 kB. */
const MAX_CONNECTIONS = 2_000;
/** Connections that gave way are not gone at once. */
const MAX_CLOSING = 1_000;
/** Of one network, so that one sender cannot take all places. A proxy, and this machine, speak for many. */
const MAX_CONNECTIONS_OF_NETWORK = 200;

/** Closes connections that are too many: of all, those that say nothing first, and of one network the new ones. */
export const limitConnections = (
  server: Server,
  { trustedProxies, logger }: { readonly trustedProxies: readonly string[]; readonly logger: Logger },
): void => {
  const exempt = createAddressList(trustedProxies);
  const counts = new Map<string, number>();
  const flooding = new Set<string>();
  server.maxConnections = MAX_CONNECTIONS + MAX_CLOSING;
  const takePlace = createConnectionPlaces(server, MAX_CONNECTIONS);
  server.on('connection', (socket: Socket) => {
    const { remoteAddress = 'gone' } = socket;
    if (isLoopback(remoteAddress.replace(/^::ffff:/i, '')) || exempt.has(remoteAddress)) {
      takePlace(socket);
      return;
    }
    const network = networkOf(remoteAddress);
    const count = counts.get(network) ?? 0;
    if (count >= MAX_CONNECTIONS_OF_NETWORK) {
      socket.destroy();
      // Once for each flood: a line for each connection would be another one.
      if (flooding.has(network)) return;
      flooding.add(network);
      logger.warn({ network, limit: MAX_CONNECTIONS_OF_NETWORK }, 'Connections are refused: there are too many of this network');
      return;
    }
    if (!takePlace(socket)) return;
    counts.set(network, count + 1);
    socket.once('close', () => {
      const left = (counts.get(network) ?? 1) - 1;
      if (left > 0) counts.set(network, left);
      else {
        counts.delete(network);
        flooding.delete(network);
      }
    });
  });
};
