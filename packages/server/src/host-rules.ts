import { isIP } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { Access } from './access.js';
import { HttpError } from './http-error.js';
import { isLoopback } from './listening-address.js';

/** A name or address, and perhaps a port. Source: RFC 3986, section 3.2; user information is not taken. */
const AUTHORITY = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::\d{1,5})?$/i;
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;
const ABSOLUTE_TARGET = /^https?:\/\/([^/?#]*)/i;

/** The name in `Host`, in small letters, without brackets, port and closing dot. */
const nameIn = (authority: string): string | undefined =>
  AUTHORITY.exec(authority)?.[1]
    ?.toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '');

export interface HostRulesOptions {
  /** The address that is listened on. */
  readonly host: string;
  readonly publicUrl?: string;
  /** More names and addresses by which pipit is reached. */
  readonly hosts: readonly string[];
}

const malformed = (message: string): HttpError =>
  new HttpError({ status: 400, code: 'REQUEST_MALFORMED', message, hint: 'Send one header Host with the name in the address.' });

const notOurs = (): HttpError =>
  new HttpError({
    status: 421,
    code: 'HOST_NOT_ALLOWED',
    message: 'The header Host names another server than this one',
    hint: "If this is a name of pipit's, add it to server.hosts, or to server.publicUrl if people and webhooks use it.",
    // The connection was opened for another name.
    headers: { connection: 'close' },
  });

/**
 * Refuses requests for other names than this server's. A page of anyone's may let its own name lead to this machine (DNS rebinding), and a browser
 * then takes pipit for that page's server. Ports are not compared: a tunnel or a container has another one, and a browser cannot lie about the name.
 * `X-Forwarded-Host` is not looked at. Hooks verify each delivery themselves, and probes tell nothing, so that both take any name.
 */
export const createHostRules = ({
  host,
  publicUrl,
  hosts,
}: HostRulesOptions): ((request: FastifyRequest, access: Access | undefined) => void) => {
  const names = new Set(
    [...hosts, ...(publicUrl === undefined ? [] : [new URL(publicUrl).host]), host].flatMap(
      (each) => nameIn(each.includes(':') && isIP(each) === 6 ? `[${each}]` : each) ?? [],
    ),
  );
  const isAllowed = (name: string, localAddress: string): boolean =>
    names.has(name) || isLoopback(name) || name === localAddress || name === MAPPED.exec(localAddress)?.[1];

  return (request, access) => {
    const { rawHeaders, socket } = request.raw;
    const given = rawHeaders.filter((each, index) => index % 2 === 0 && each.toLowerCase() === 'host');
    if (given.length > 1) throw malformed('The request has more than one header Host');
    if (access?.by === 'hook' || access?.by === 'probe') return;
    if (given.length === 0) throw malformed('The request has no header Host');
    const target = ABSOLUTE_TARGET.exec(request.url)?.[1];
    for (const authority of [request.headers.host ?? '', ...(target === undefined ? [] : [target])]) {
      const name = nameIn(authority);
      if (name === undefined) throw malformed('The header Host, or the host in the target, is not a name with a port');
      if (!isAllowed(name, socket.localAddress ?? '')) throw notOurs();
    }
  };
};
