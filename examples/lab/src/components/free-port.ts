import { once } from 'node:events';
import { createServer } from 'node:net';

/** A TCP port that nobody listens on at that address now. */
export const freePort = async (address = '127.0.0.1'): Promise<number> => {
  const server = createServer().listen(0, address);
  await once(server, 'listening');
  const found = server.address();
  server.close();
  await once(server, 'close');
  if (found === null || typeof found === 'string') throw new Error(`No port at ${address}`);
  return found.port;
};
