import { existsSync } from 'node:fs';
import type { Call, HealthFinding } from '@pipit/core';
import { checkSuites, findProgram, type SuiteMemory } from '@pipit/plugin-kit';
import type { FreightConfig } from './config.js';

/** The place may be another host, which is not looked at from here. */
const checkPrograms = ({ root, conf, program }: FreightConfig): readonly HealthFinding[] => {
  const here = root ?? conf ?? '';
  if (!existsSync(here))
    return [{ name: 'freight', ok: true, detail: `${here} is not on this machine yet: nothing is published, or it works on another host` }];
  const freight: HealthFinding =
    program === 'freight'
      ? findProgram('freight', 'the project of Freight: Debian does not package it')
      : existsSync(program)
        ? { name: 'freight', ok: true, detail: program }
        : { name: 'freight', ok: false, detail: `no ${program}`, hint: "Install Freight there, or correct the config's `program`." };
  const hint = 'Install it from its own project (github.com/freight-team/freight): Debian does not package it.';
  return [
    freight.ok || program !== 'freight' ? freight : { ...freight, hint },
    findProgram('gpg', 'gnupg'),
    findProgram('gpgconf', 'gnupg'),
    findProgram('gpgv', 'gpgv'),
    findProgram('dpkg-deb', 'dpkg'),
  ];
};

/** For `pipit doctor`: the programs, and each known distribution with its signature. */
export const checkFreightHealth = async (
  config: FreightConfig,
  memory: SuiteMemory,
  { signal }: Call,
): Promise<readonly HealthFinding[]> => {
  const { suites, keys, url } = await memory.read();
  const address = config.url ?? url;
  const suitesFound = address === undefined ? [] : await checkSuites({ url: address, suites, keys: config.publicKeys ?? keys, signal });
  return [...checkPrograms(config), ...suitesFound];
};
