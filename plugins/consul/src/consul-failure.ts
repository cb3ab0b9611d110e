import { isPluginError, PluginError } from '@pipit/core';
import { plainText } from './plain-text.js';

/** What was asked, for messages. */
export interface Asked {
  readonly method: 'GET' | 'PUT';
  readonly what: string;
  readonly anonymous: boolean;
}

const POLICIES = 'The README of this plugin has the smallest policies: read of services and nodes, write of the key prefix.';

export const accessRefused = (what: string, said: string): PluginError =>
  new PluginError({
    code: 'CONSUL_ACCESS_REFUSED',
    message: `${what}: the token may not do this (${plainText(said)})`,
    hint: `Give the token's policy the right. ${POLICIES}`,
    recovery: 'stop',
  });

/** Consul does not fail where a token may see nothing: it gives empty lists, which must not pass for an empty fleet. */
export const nothingVisible = (what: string): PluginError =>
  new PluginError({
    code: 'CONSUL_NOTHING_VISIBLE',
    message: `Consul shows this token no ${what} at all, so an empty list of hosts means nothing`,
    hint: `Set \`token\`, or give its policy the right to read ${what}. ${POLICIES}`,
    recovery: 'stop',
  });

export const unknownAnswer = (what: string, detail: string, cause?: unknown): PluginError =>
  new PluginError({
    code: 'CONSUL_ANSWER_UNKNOWN',
    message: `${what}: not an answer of Consul: ${detail}`,
    hint: 'Look whether `url` leads to a Consul agent, or to something in front of it.',
    recovery: 'stop',
    cause,
  });

/** The codes of an error and its causes. */
const codesOf = (thrown: unknown): readonly string[] =>
  thrown instanceof Error ? ['code' in thrown && typeof thrown.code === 'string' ? thrown.code : '', ...codesOf(thrown.cause)] : [];

/** What a call that got no answer means: as the kit says, but certificates are configured in this plugin. */
export const connectionFailure = ({ what }: Asked, thrown: unknown): unknown => {
  if (!isPluginError(thrown)) return thrown;
  // The agent ended the handshake: it wants a certificate, or does not trust the one it got.
  const isRefusedByAgent = codesOf(thrown).some((code) => /^ERR_SSL_.*ALERT/.test(code));
  if (thrown.code !== 'HTTP_CERTIFICATE_REFUSED' && !isRefusedByAgent) return thrown;
  return new PluginError({
    code: 'CONSUL_CERTIFICATE_REFUSED',
    message: isRefusedByAgent ? `${what}: the agent refuses the client's certificate, or wants one` : thrown.message,
    hint: isRefusedByAgent
      ? 'Set `tls.cert` and `tls.key` to a certificate of the authority that the agent trusts.'
      : 'Set `tls.ca` to the authority of the agent’s certificate, and `tls.serverName` to its name where that is not in `url`.',
    recovery: 'stop',
    cause: thrown,
  });
};

/** The error that a status and Consul's words are; undefined for an answer (2xx, 404, 409). */
export const statusFailure = ({ method, what, anonymous }: Asked, status: number, said: string): PluginError | undefined => {
  if (status < 400 || status === 404 || status === 409) return undefined;
  const words = plainText(said);
  // An error that a server passed on to the agent is a 500 in some versions.
  if (!anonymous && /ACL not found/i.test(words))
    return new PluginError({
      code: 'CONSUL_TOKEN_UNKNOWN',
      message: `${what}: Consul does not know the token, or it expired`,
      hint: 'Set `token` to one that exists: consul acl token list',
      recovery: 'stop',
    });
  if (status === 401 || status === 403 || /Permission denied/i.test(words)) return accessRefused(what, said);
  if (/No cluster leader/i.test(words))
    return new PluginError({
      code: 'CONSUL_NO_LEADER',
      message: `${what}: the Consul cluster has no leader`,
      hint: 'It chooses one within seconds when most of its servers run: consul operator raft list-peers',
      recovery: 'retry',
    });
  if (/No path to datacenter/i.test(words))
    return new PluginError({
      code: 'CONSUL_DATACENTER_UNREACHABLE',
      message: `${what}: the agent knows no way to that data centre`,
      hint: 'Correct `datacenters` (consul catalog datacenters), or join the data centres again.',
      recovery: 'retry',
    });
  if (status >= 500)
    return new PluginError({
      code: 'CONSUL_SERVER_FAILED',
      message: `${what} answered ${status}: ${words}`,
      hint: 'Look at the log of the Consul servers; pipit tries again.',
      recovery: method === 'GET' ? 'retry' : 'reconcile',
    });
  return new PluginError({
    code: 'CONSUL_REQUEST_REFUSED',
    message: `${what} answered ${status}: ${words}`,
    hint: 'Look at what Consul says, and at the config of this plugin.',
    recovery: 'stop',
  });
};
