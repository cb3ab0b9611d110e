import type { Sandbox, SandboxGap } from '@pipit/core';
import type { SandboxNetworkMode } from './sandbox-network.js';
import type { WorkSettings } from './work-limits.js';

export const FILES_OPEN: SandboxGap = {
  name: 'files',
  detail: 'no namespaces: the code of repositories can read every file of this machine that any user may read, and sees its processes',
  hint: 'apt-get install bubblewrap; in a container, give it CAP_SYS_ADMIN.',
};

export const CALLS_OPEN: SandboxGap = {
  name: 'calls',
  detail:
    "no filter of system calls: builds share the kernel's key rings, and can reach the host of this machine, if it is virtual, by sockets of its own (vsock)",
  hint: 'Use a kernel with seccomp, on x86-64 or arm64.',
};

const GROUPS_HINT =
  'Run pipit as root under systemd, or as a user with a session of systemd (loginctl enable-linger), or delegate it control groups (Delegate=yes). In a container, mount them writable.';

/** What control groups would bound and this machine cannot. */
export const limitGaps = (mode: Sandbox['mode'], { groups }: WorkSettings, prlimit: string | undefined): readonly SandboxGap[] => {
  const has = (controller: 'memory' | 'pids' | 'cpu'): boolean => groups?.controllers.includes(controller) === true;
  const other = prlimit === undefined ? 'not bounded' : undefined;
  const costs = [
    ...(has('memory') ? [] : [`memory is ${other ?? 'bounded for each process only, and not for all of a build together'}`]),
    ...(has('pids') ? [] : [`tasks are ${other ?? 'bounded for the user of the sandbox only, so that builds share one bound'}`]),
    ...(has('cpu') ? [] : ['the CPU is not bounded']),
    ...(groups === undefined && mode !== 'namespaces' ? ['what a build leaves running in the background is not ended with it'] : []),
  ];
  return costs.length === 0 ? [] : [{ name: 'limits', detail: `control groups are missing: ${costs.join('; ')}`, hint: GROUPS_HINT }];
};

/** What of the network cannot be kept from the code of repositories here. */
export const networkGaps = (
  mode: Sandbox['mode'],
  wanted: SandboxNetworkMode,
  whyNoOutbound: string | undefined,
): readonly SandboxGap[] => {
  if (wanted === 'full' || (mode === 'namespaces' && whyNoOutbound === undefined)) return [];
  const why = mode === 'namespaces' ? whyNoOutbound : 'there are no namespaces';
  return [
    {
      name: 'network',
      detail: `network: ${wanted} cannot be had (${why}): the code of repositories has the whole network of this machine, with what listens on loopback and on private addresses`,
      hint: 'apt-get install bubblewrap slirp4netns nftables; /dev/net/tun must be there, and usable by the user of pipit. With network: full in the config this is not reported.',
    },
  ];
};
