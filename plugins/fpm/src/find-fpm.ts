import { isPluginError, type Op, PluginError, type RunResult } from '@pipit/core';
import type { FpmFormat } from './architecture.js';
import type { FpmConfig } from './config.js';

interface Need {
  readonly argv: readonly string[];
  readonly hint: string;
}

const programs = ({ program }: Pick<FpmConfig, 'program'>, formats: readonly FpmFormat[]): readonly Need[] => [
  { argv: [program, '--version'], hint: 'There, as root: apt-get install ruby && gem install --no-document fpm' },
  ...(formats.includes('deb') ? [{ argv: ['dpkg-deb', '--version'], hint: 'There, as root: apt-get install dpkg' }] : []),
  ...(formats.includes('deb') ? [{ argv: ['ar', '--version'], hint: 'There, as root: apt-get install binutils' }] : []),
  ...(formats.includes('rpm') ? [{ argv: ['rpmbuild', '--version'], hint: 'There, as root: apt-get install rpm' }] : []),
];

/** What a shell exits with for a program that it does not find (127) or may not run (126). */
export const NOT_RUN: readonly number[] = [126, 127];

const tryProgram = async (run: () => Promise<RunResult>): Promise<RunResult | undefined> => {
  try {
    const result = await run();
    return NOT_RUN.includes(result.exitCode) ? undefined : result;
  } catch (thrown) {
    if (isPluginError(thrown) && thrown.code === 'COMMAND_NOT_FOUND') return undefined;
    throw thrown;
  }
};

/** The environment that every call of FPM has beside the shell's own. */
export const gemEnvironment = ({ gemFolder }: Pick<FpmConfig, 'gemFolder'>): Readonly<Record<string, string>> =>
  gemFolder === undefined ? {} : { GEM_HOME: gemFolder, GEM_PATH: gemFolder };

/**
 * Looks for all programs that these formats need where the shell is, and gives FPM's version.
 *
 * @throws PluginError `FPM_PROGRAM_MISSING`, `FPM_PROGRAM_BROKEN` (stop)
 */
export const findFpm = async (config: FpmConfig, formats: readonly FpmFormat[], op: Op<'shell'>): Promise<string> => {
  const answers: string[] = [];
  for (const { argv, hint } of programs(config, formats)) {
    const result = await tryProgram(() => op.shell.run(argv, { env: gemEnvironment(config) }));
    if (result === undefined)
      throw new PluginError({
        code: 'FPM_PROGRAM_MISSING',
        message: `There is no program ${argv[0]} where packages are made`,
        hint: `${hint}. Or choose with \`on:\` a host that has it.`,
        recovery: 'stop',
      });
    if (result.exitCode !== 0)
      throw new PluginError({
        code: 'FPM_PROGRAM_BROKEN',
        message: `${argv.join(' ')} exited ${result.exitCode}: ${result.stderr.trim().split('\n')[0]}`,
        hint:
          argv[0] === config.program ? 'A gem is missing or ruby was replaced: gem install --no-document fpm again.' : 'Install it anew.',
        recovery: 'stop',
      });
    answers.push(result.stdout.trim());
  }
  return answers[0] ?? '';
};
