import { ConnectFailed } from './connector.js';

/** What OpenSSH says of the system's errors. */
const SYSTEM_WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset',
  EPIPE: 'Broken pipe',
  ENOTFOUND: 'Could not resolve hostname',
  EAI_AGAIN: 'Could not resolve hostname',
  ETIMEDOUT: 'Connection timed out',
  EHOSTUNREACH: 'No route to host',
  EHOSTDOWN: 'Host is down',
  ENETUNREACH: 'Network is unreachable',
};

/** What OpenSSH would say where ssh2 says something else, by its message. */
const WORDS: readonly (readonly [pattern: RegExp, words: string])[] = [
  [/Timed out while waiting for handshake|Keepalive timeout/, 'Connection timed out'],
  [/All configured authentication methods failed/, 'Permission denied'],
  [/Too many authentication failures/, 'Too many authentication failures'],
  [/no matching/i, 'Unable to negotiate'],
  [
    /Connection lost before handshake|before handshake|Not connected|No response from server|Invalid identification/,
    'Connection closed by remote host',
  ],
  [/Channel open failure|open failed/i, 'Session open refused by peer'],
];

const textOf = (thrown: unknown, property: string): string | undefined => {
  if (typeof thrown !== 'object' || thrown === null || !(property in thrown)) return undefined;
  const value: unknown = Reflect.get(thrown, property);
  return typeof value === 'string' && value !== '' ? value : undefined;
};

/** An error of ssh2 in ssh's words, so that one list says what they mean. */
export const describeSsh2Error = (thrown: unknown): string => {
  if (thrown instanceof ConnectFailed) return thrown.message;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const system = SYSTEM_WORDS[textOf(thrown, 'code') ?? ''];
  const words = system ?? WORDS.find(([pattern]) => pattern.test(message))?.[1];
  return words === undefined ? message : `${words} (${message})`;
};
