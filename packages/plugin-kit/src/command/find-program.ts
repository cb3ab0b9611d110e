import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { HealthFinding } from '@pipit/core';
import { SYSTEM_PATH } from './minimal-environment.js';

/** Whether a program that this plugin calls is on this machine, as `pipit doctor` shows it. */
export const findProgram = (program: string, debianPackage: string): HealthFinding => {
  const path = SYSTEM_PATH.split(':')
    .map((folder) => join(folder, program))
    .find(existsSync);
  return path === undefined
    ? { name: program, ok: false, detail: 'not on this machine', hint: `apt-get install ${debianPackage}` }
    : { name: program, ok: true, detail: path };
};
