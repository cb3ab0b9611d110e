import { BlockList, isIP } from 'node:net';

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Addresses and networks, such as `10.0.0.0/8`, `::1` or `192.0.2.7`. */
export interface AddressList {
  has(address: string): boolean;
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6');

/** Throws a TypeError for an entry that is none. */
export const createAddressList = (entries: readonly string[]): AddressList => {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    if (isIP(address) === 0) throw new TypeError(`${JSON.stringify(entry)} is no address or network`);
    if (bits === undefined) list.addAddress(address, familyOf(address));
    else list.addSubnet(address, Number(bits), familyOf(address));
  }
  return {
    has: (given) => {
      const [plain = ''] = given.split('%');
      const address = MAPPED.exec(plain)?.[1] ?? plain;
      return isIP(address) !== 0 && list.check(address, familyOf(address));
    },
  };
};
