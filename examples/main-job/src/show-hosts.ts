import type { Paint, TextOutput } from '@pipit/cli';
import type { HostView } from '@pipit/runtime';

/** A tree of hosts. The versions are what each host's own package database says. */
export const showHosts = (output: TextOutput, hosts: readonly HostView[], paint: Paint): void => {
  const rings = [...new Set(hosts.map((host) => host.ring))];
  for (const ring of rings) {
    const own = hosts.filter((host) => host.ring === ring);
    const advertised = own[0]?.advertised?.version ?? 'nothing';
    output.write(`  ${paint.bold(ring)}  advertised: ${advertised}\n`);
    for (const [index, host] of own.entries()) {
      const branch = index === own.length - 1 ? '└─' : '├─';
      const installed = host.report?.installed;
      const health =
        host.report?.healthy === true ? paint.green('healthy') : installed === undefined ? paint.dim('-') : paint.red('unhealthy');
      const digest = installed?.digest === undefined ? '' : paint.dim(` ${installed.digest.slice(0, 19)}…`);
      output.write(`  ${branch} ${host.hostId}  ${host.address}  dpkg: ${installed?.version ?? 'not installed'}${digest}  ${health}\n`);
    }
  }
};
