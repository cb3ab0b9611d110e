import type { Format } from '@pipit/core';
import type { Config } from './config.js';
import type { ConfigPath } from './config-path.js';
import type { ConfigProblem, ProblemText } from './config-problem.js';

/** What the instances of one pipeline say of themselves after setup. */
export interface SlotFormats {
  readonly packager: readonly Format[];
  readonly repository: readonly Format[];
  readonly deployer: readonly Format[];
}

/** The first of the packager's formats that the repository keeps and the deployer installs. */
export const findCommonFormat = ({ packager, repository, deployer }: SlotFormats): Format | undefined =>
  packager.find((format) => repository.includes(format) && deployer.includes(format));

/** A problem that shows only after loading, with its place in the config's file. A config made by hand has no places: line 1, column 1. */
export const problemAt = (
  config: Pick<Config, 'file' | 'locate'>,
  path: ConfigPath,
  problem: ProblemText & { readonly shownPath: string },
): ConfigProblem => ({
  ...(config.locate?.(path) ?? { file: config.file, line: 1, column: 1 }),
  path: problem.shownPath,
  code: problem.code,
  message: problem.message,
  ...(problem.expected === undefined ? {} : { expected: problem.expected }),
  ...(problem.hint === undefined ? {} : { hint: problem.hint }),
});

const list = (formats: readonly Format[]): string => (formats.length === 0 ? 'none' : formats.join(', '));

/** The problem of a pipeline whose packager, repository and deployer have no format in common, at its packager; undefined when they have one. */
export const checkCommonFormat = (
  config: Pick<Config, 'file' | 'locate'>,
  pipeline: string,
  formats: SlotFormats,
): ConfigProblem | undefined => {
  if (findCommonFormat(formats) !== undefined) return undefined;
  const path = ['pipelines', pipeline, 'packager'];
  return problemAt(config, path, {
    shownPath: path.join('.'),
    code: 'FORMAT_MISMATCH',
    message: `The packager makes ${list(formats.packager)}, the repository keeps ${list(formats.repository)}, the deployer installs ${list(formats.deployer)}`,
    expected: 'one format that all three have',
    hint: 'Choose another packager, repository or deployer.',
  });
};
