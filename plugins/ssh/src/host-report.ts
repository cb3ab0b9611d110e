import type { HealthCheck, Host, HostReport } from '@pipit/core';
import type { HostLook, HostOutcome } from '@pipit/plugin-kit';
import { GIVEN_UP, type GivenUp } from './batch-handle.js';
import { describeConnectionFailure, isSpokenWith } from './connection-failure.js';
import { shortLog } from './short-log.js';

const withRaw = (text: string): Pick<HostReport, 'raw'> => {
  const raw = shortLog(text);
  return raw === '' ? {} : { raw };
};

const unhealthy = (host: Host, why: string, withinMs?: number): NonNullable<HostReport['error']> => ({
  code: 'HOST_UNHEALTHY',
  message: `${host.id} did not pass its health check${withinMs === undefined ? '' : ` within ${withinMs / 1000} s`}: ${why}`,
  hint: "Look at the service's log below; the package is installed, so the host runs the new version.",
});

/** How a try ended, for the batch: always the same, for what the host wrote down then does not change. */
export const outcomeReport = (host: Host, outcome: HostOutcome, log: string, check: HealthCheck | undefined): HostReport => {
  if ('installed' in outcome) {
    const { installed, health } = outcome;
    if (health?.healthy === false)
      return {
        hostId: host.id,
        reachable: true,
        installed,
        healthy: false,
        error: unhealthy(host, health.why, check?.withinMs),
        ...withRaw(log),
      };
    return { hostId: host.id, reachable: true, installed, ...(health === undefined ? {} : { healthy: true }) };
  }
  const { error, foreign, present } = outcome;
  return {
    hostId: host.id,
    reachable: true,
    ...(error.code === 'HOST_BUSY' ? { busy: true } : {}),
    ...(present === undefined ? {} : { installed: present }),
    ...(foreign === undefined ? {} : { foreign }),
    error,
    ...withRaw(log),
  };
};

/** Reasons that are no matter of the connection. */
const OWN: readonly {
  readonly code: (typeof GIVEN_UP)[GivenUp];
  readonly fact: string;
  readonly hint: string;
  readonly reachable: boolean;
}[] = [
  {
    code: 'HOST_CUT_OFF',
    fact: 'was told to install, and cannot be reached since',
    hint: 'What was begun there goes on by itself; look at the host when it is back. It then converges.',
    reachable: false,
  },
  {
    code: 'HOST_DISK_FULL',
    fact: 'cannot keep what it is to install: its disk is full, or cannot be written',
    hint: 'Free some space on the host (`apt-get clean` is a beginning), then retry.',
    reachable: true,
  },
  {
    code: 'HOST_LAUNCH_REFUSED',
    fact: 'has a systemd that did not start the install',
    hint: "Look at `systemctl status` and `systemctl list-units 'pipit-*'` on the host, then retry. pipit's own log has systemd's words.",
    reachable: true,
  },
  {
    code: 'HOST_SCRIPT_BROKEN',
    fact: 'ended its install again and again without an outcome',
    hint: 'Look at the host: something kills the install, or its disk fails.',
    reachable: true,
  },
  {
    code: 'SSH_ROOT_REFUSED',
    fact: 'does not give root to the user that logs in',
    hint: 'Set `sudo: true` (see the README for the line in sudoers), or log in as root.',
    reachable: true,
  },
];

/** A host that was given up, for a reason that the handle keeps. */
export const givenUpReport = (host: Host, mark: GivenUp): HostReport => {
  const code = GIVEN_UP[mark];
  const own = OWN.find((each) => each.code === code);
  const failure = describeConnectionFailure(code, host.address);
  return {
    hostId: host.id,
    reachable: own?.reachable ?? isSpokenWith(code),
    error: {
      code,
      message: own === undefined ? (failure?.message ?? `${host.address} was given up`) : `${host.id} ${own.fact}`,
      hint: own?.hint ?? failure?.hint ?? 'Look at the host.',
    },
  };
};

/** What a host runs now. A hold or somebody else's unfinished install is shown, and no error: what runs there may be all right. */
export const observedReport = (host: Host, look: HostLook): HostReport => {
  const isBusy = look.busy.length > 0;
  const whole = look.packages.filter(({ status }) => status === 'installed' || status.startsWith('triggers-'));
  const half = isBusy ? undefined : look.packages.find((each) => !whole.includes(each));
  const foreign = isBusy ? [] : look.broken.filter((broken) => !look.packages.some((each) => broken.startsWith(`${each.name} `)));
  const notes = [
    ...look.packages.filter(({ isHeld }) => isHeld).map(({ name }) => `${name} is on hold on this host: no rollout changes it`),
    ...(foreign.length > 0
      ? [`The package manager has left packages half-way on this host that are not pipit's: ${foreign.join(', ')}. No rollout changes it`]
      : []),
  ];
  const error =
    half !== undefined
      ? {
          code: 'HOST_PACKAGE_BROKEN',
          message: `${half.name} ${half.installed.version} is ${half.status} on ${host.id}`,
          hint: 'Roll the ring to a release that installs: the host script finishes what was left.',
        }
      : look.health?.healthy === false
        ? unhealthy(host, look.health.why)
        : undefined;
  const installed = whole[0]?.installed;
  return {
    hostId: host.id,
    reachable: true,
    ...(isBusy ? { busy: true } : {}),
    ...(look.health === undefined ? {} : { healthy: look.health.healthy }),
    ...(installed === undefined ? {} : { installed }),
    ...(look.foreign === undefined ? {} : { foreign: look.foreign }),
    ...(error === undefined ? {} : { error }),
    ...withRaw([...notes, ...(error === undefined ? [] : [look.log])].join('\n')),
  };
};
