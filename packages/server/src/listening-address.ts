import { type AddressInfo, isIPv4 } from 'node:net';

/** Whether a name or address is this machine's own, for itself: `127.example.org` is a name of somebody. */
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));

/** Addresses that mean every interface, and how they are reached from this machine. */
const REACHED_AS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '[::1]' };

/** The URL under which a listening server is reached from this machine. */
export const urlOf = (address: AddressInfo | string | null, host: string): string => {
  if (address === null || typeof address === 'string') throw new TypeError('The server does not listen on a port');
  return `http://${REACHED_AS[host] ?? (host.includes(':') ? `[${host}]` : host)}:${address.port}`;
};
