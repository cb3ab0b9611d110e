import { PluginError } from '@pipit/core';

export type FpmFormat = 'deb' | 'rpm';

interface Architecture {
  readonly deb: string;
  readonly rpm: string;
}

/** The words for packages that run everywhere. */
const ANY: Architecture = { deb: 'all', rpm: 'noarch' };

/** Debian's and rpm's words for a machine; rpm's are those of `uname -m`. Source: dpkg's cputable, rpm's rpmrc. */
const MACHINES: readonly Architecture[] = [
  { deb: 'amd64', rpm: 'x86_64' },
  { deb: 'arm64', rpm: 'aarch64' },
  { deb: 'armhf', rpm: 'armv7l' },
  { deb: 'i386', rpm: 'i686' },
  { deb: 'ppc64el', rpm: 'ppc64le' },
];

/**
 * What the architectures of a request are in a format's own words, each once. Either format's words are taken.
 *
 * @param machine `uname -m` of the build host: what is compiled there is of its kind
 * @throws PluginError `FPM_ARCHITECTURE_UNSUPPORTED` (stop)
 */
export const architecturesFor = (wanted: readonly string[], format: FpmFormat, machine: string): readonly string[] => {
  const own = MACHINES.find(({ rpm }) => rpm === machine) ?? { deb: machine, rpm: machine };
  const words = (wanted.length > 0 ? wanted : [ANY.deb]).map((name) => {
    const known = [ANY, own].find(({ deb, rpm }) => deb === name || rpm === name);
    if (known !== undefined) return known[format];
    throw new PluginError({
      code: 'FPM_ARCHITECTURE_UNSUPPORTED',
      message: `A package for ${JSON.stringify(name)} cannot be made on a build host that is ${machine}`,
      hint: `Say "architectures: [${own.deb}]" or [all] in pipit.yaml, or choose with \`on:\` a build host of that architecture.`,
      recovery: 'stop',
    });
  });
  return [...new Set(words)];
};
