import { type Host, parseHostAddress } from '@pipit/core';

/** What a row of the clean-up table says of a folder on another host. */
export interface RemoteTarget {
  readonly transport: string;
  readonly host: Pick<Host, 'id' | 'address'>;
  readonly path: string;
}

export const writeTarget = ({ transport, host, path }: RemoteTarget): string =>
  JSON.stringify({ transport, hostId: host.id, address: host.address, path });

/** Only paths of this form are ever removed on a host. */
const OWN_PATH = /^\/var\/tmp\/pipit-[0-9a-f-]+$/;

/** @throws Error for what pipit cannot have written */
export const readTarget = (text: string): RemoteTarget => {
  const { transport, hostId, address, path } = JSON.parse(text) as Partial<Record<string, unknown>>; // looked at below, field by field
  if (typeof transport !== 'string' || typeof hostId !== 'string' || typeof address !== 'string' || typeof path !== 'string')
    throw new Error('not the target of a remote folder');
  if (!OWN_PATH.test(path)) throw new Error(`${path} is not one of pipit's work folders`);
  return { transport, host: { id: hostId, address: parseHostAddress(address) }, path };
};
