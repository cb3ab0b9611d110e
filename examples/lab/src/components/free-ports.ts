import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Below Linux's range for outgoing connections (from 32768): nothing takes these by chance. */
const LOWEST = 20_000;
const HIGHEST = 32_767;
const TRIES = 200;

const listen = async (address: string, port: number): Promise<Server | undefined> => {
  const server = createServer();
  server.listen(port, address);
  try {
    await once(server, 'listening');
    return server;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
};

/**
 * Finds TCP ports that nobody listens on.
 * @param count How many, all different.
 * @throws Error when the address is not this machine's, or nothing is free.
 */
export const findFreePorts = async (address: string, count: number): Promise<number[]> => {
  const servers = new Map<number, Server>();
  try {
    for (let attempt = 0; attempt < TRIES && servers.size < count; attempt += 1) {
      const port = randomInt(LOWEST, HIGHEST + 1);
      if (servers.has(port)) continue;
      const server = await listen(address, port);
      if (server !== undefined) servers.set(port, server);
    }
  } finally {
    await Promise.all(
      [...servers.values()].map(async (server) => {
        server.close();
        await once(server, 'close');
      }),
    );
  }
  if (servers.size < count) throw new Error(`No ${count} free ports on ${address}`);
  return [...servers.keys()];
};
