import { bridgeHardwareAddress, type HostRecord, hostLink, hostNamespace, type LabRecord } from './lab-state.js';
import { runCommand, tryCommand } from './run-command.js';

/** Labs take 10.77.0.0/24, or the next of 256 that is free. */
const SUBNETS = Array.from({ length: 256 }, (_, third) => `10.77.${third}.0/24`);

const SUBNET = /^10\.(\d{1,3})\.(\d{1,3})\.0\/24$/;

/** The first three numbers of a subnet, with the dots: `10.77.0.`. */
export const subnetPrefix = (subnet: string): string => {
  if (!SUBNET.test(subnet)) throw new Error(`A lab's subnet is 10.x.y.0/24, not ${subnet}`);
  return subnet.slice(0, -'0/24'.length);
};

const bridgeOf = (subnet: string): string => `plab-${subnetPrefix(subnet).split('.').slice(1, 3).join('-')}`;

/** Whether an address or a route of this machine is in it: then it is somebody else's. */
const isInUse = (subnet: string, addressesAndRoutes: string): boolean => {
  const prefix = subnetPrefix(subnet).replaceAll('.', '\\.');
  return new RegExp(`(^|\\s)${prefix}\\d+`, 'm').test(addressesAndRoutes);
};

/** A bridge that was made, in a subnet that nobody else uses. */
export interface Bridge {
  readonly name: string;
  readonly subnet: string;
  readonly address: string;
}

/**
 * Makes a lab's bridge. Its name goes by the subnet, and making it is atomic: two labs that start at once never get the same.
 * @param wanted Default: the first free one of 10.77.0.0/24 to 10.77.255.0/24.
 */
export const makeBridge = async (token: string, wanted?: string): Promise<Bridge> => {
  const taken = (await runCommand(['ip', '-oneline', 'address'])) + (await runCommand(['ip', 'route', 'show', 'table', 'all']));
  for (const subnet of wanted === undefined ? SUBNETS : [wanted]) {
    if (isInUse(subnet, taken)) continue;
    const name = bridgeOf(subnet);
    const address = `${subnetPrefix(subnet)}1`;
    const made = await tryCommand(['ip', 'link', 'add', name, 'address', bridgeHardwareAddress(token), 'type', 'bridge']);
    if (made.exitCode !== 0) {
      if (made.stderr.includes('File exists')) continue;
      throw new Error(`No bridge can be made here: ${made.stderr.trim()}`);
    }
    await runCommand(['ip', 'address', 'add', `${address}/24`, 'dev', name]);
    await runCommand(['ip', 'link', 'set', name, 'up']);
    return { name, subnet, address };
  }
  throw new Error(wanted === undefined ? 'All of 10.77.0.0/16 is in use: are old labs still up?' : `${wanted} is in use on this machine`);
};

/** Lays a host's cable: a network namespace with an end of it as `eth0`, the other end in the bridge. */
export const connectHost = async (lab: LabRecord, host: HostRecord): Promise<void> => {
  const namespace = hostNamespace(lab, host);
  const link = hostLink(lab, host);
  await runCommand(['ip', 'netns', 'add', namespace]);
  await runCommand(['ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]);
  await runCommand(['ip', 'link', 'set', link, 'master', lab.bridge, 'up']);
  const inside = `link set lo up\naddress add ${host.address}/24 dev eth0\nlink set eth0 up\n`;
  await runCommand(['ip', '-netns', namespace, '-batch', '-'], { input: inside });
};

/** Pulls the cable out, or puts it in again. Both are harmless when repeated. */
export const setCable = async (lab: LabRecord, host: HostRecord, state: 'up' | 'down'): Promise<void> => {
  await runCommand(['ip', 'link', 'set', hostLink(lab, host), state]);
};

/** Whether the host's cable is pulled out. */
export const isCut = async (lab: LabRecord, host: HostRecord): Promise<boolean> => {
  const { stdout } = await tryCommand(['ip', '-oneline', 'link', 'show', 'dev', hostLink(lab, host)]);
  return !/<[^>]*\bUP\b[^>]*>/.test(stdout);
};
