import type { AddressInfo } from 'node:net';

/** Whether only this machine can reach it. */
export const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host);

/** Addresses that mean every interface, and how they are reached from this machine. */
const REACHED_AS: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '[::1]' };

/** The URL under which a listening server is reached from this machine. */
export const urlOf = (address: AddressInfo | string | null, host: string): string => {
  if (address === null || typeof address === 'string') throw new TypeError('The server does not listen on a port');
  return `http://${REACHED_AS[host] ?? (host.includes(':') ? `[${host}]` : host)}:${address.port}`;
};
