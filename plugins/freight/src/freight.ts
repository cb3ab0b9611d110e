import { PluginError, type RunResult, type Shell } from '@pipit/core';
import type { FreightConf } from './freight-conf.js';

export interface FreightOptions {
  readonly shell: Shell;
  readonly program: string;
  readonly conf: FreightConf;
  readonly gnupgHome: string;
}

/** What pipit asks of Freight. Exit codes say little: each caller reads back what it wanted. */
export interface Freight {
  /** `freight add`. It says "already has" and 0 when a file of that name is there, whatever its bytes: `false`. */
  add(path: string, distribution: string): Promise<boolean>;
  /** `freight cache` of one distribution: its link is switched in one step. */
  cache(distribution: string): Promise<void>;
}

/** The last line that a person should read. */
const lastLine = ({ stdout, stderr }: RunResult): string =>
  `${stdout}\n${stderr}`
    .trim()
    .split('\n')
    .findLast((line) => line.trim() !== '')
    ?.replace(/^# \[freight\] /, '') ?? '';

const failed = (what: string, result: RunResult): PluginError =>
  new PluginError({
    code: 'FREIGHT_FAILED',
    message: `${what} failed (exit ${result.exitCode}): ${lastLine(result)}`,
    hint: "Look at Freight's folders and their disk, and try the same command there.",
    recovery: 'reconcile',
  });

export const createFreight = ({ shell, program, conf, gnupgHome }: FreightOptions): Freight => {
  // From / no other freight.conf of a parent folder is read.
  const run = (...args: readonly string[]): Promise<RunResult> =>
    shell.run([program, ...args], { cwd: '/', env: { GNUPGHOME: gnupgHome } });
  return {
    async add(path, distribution) {
      const result = await run('add', '-c', conf.path, path, `apt/${distribution}`);
      if (result.exitCode !== 0) throw failed('freight add', result);
      return !/already has/.test(`${result.stderr}${result.stdout}`);
    },
    async cache(distribution) {
      // One a call: given several, Freight writes the first one's name as Suite of all.
      const result = await run('cache', '-c', conf.path, `apt/${distribution}`);
      if (result.exitCode === 0) return;
      // Freight tells this on its standard output.
      if (/couldn't sign/.test(`${result.stdout}${result.stderr}`))
        throw new PluginError({
          code: 'FREIGHT_SIGNING_FAILED',
          message: `freight cache: gpg did not sign: ${
            result.stderr
              .trim()
              .split('\n')
              .findLast((line) => line.startsWith('gpg:')) ?? lastLine(result)
          }`,
          hint: 'The secret half of the key that GPG names must be in `gnupgHome`, without a passphrase. What hosts read is as it was.',
          recovery: 'stop',
        });
      throw failed('freight cache', result);
    },
  };
};
