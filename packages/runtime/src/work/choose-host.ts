import { type Call, type Host, PluginError } from '@pipit/core';
import type { WorkPlace } from '@pipit/pipeline';

const describe = (host: Host): string => `${host.id} (${host.reason ?? 'not available'})`;

/**
 * The host that an effect works on: the one that the config names, or of a service's available hosts one with the fewest work folders now.
 * Equal ones are drawn by lot, so that several pipits spread their load too.
 *
 * @throws PluginError `WORK_HOST_NOT_AVAILABLE` (retry) when the service has no available host
 */
export const chooseHost = async (place: WorkPlace, call: Call, loadOf: (hostId: string) => number): Promise<Host> => {
  if ('host' in place) return { id: place.host, address: place.host, available: true, attributes: {} };
  const { discovery, service } = place;
  const { hosts } = await discovery.subject.findHosts({ target: { service }, options: discovery.options }, call);
  const available = hosts.filter((host) => host.available);
  const least = Math.min(...available.map((host) => loadOf(host.id)));
  const idle = available.filter((host) => loadOf(host.id) === least);
  const chosen = idle[Math.floor(call.random() * idle.length)];
  if (chosen !== undefined) return chosen;
  throw new PluginError({
    code: 'WORK_HOST_NOT_AVAILABLE',
    message:
      hosts.length === 0
        ? `Discovery ${discovery.instance} knows no host of the service ${service}`
        : `None of the ${hosts.length} hosts of the service ${service} is available: ${hosts.map(describe).join(', ')}`,
    hint: `Register a healthy host under ${service}; \`pipit doctor\` shows what discovery knows.`,
    recovery: 'retry',
  });
};
