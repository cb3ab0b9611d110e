import { stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { PluginError } from '@pipit/core';
import type { Command } from 'commander';
import { addExamples, type Launch } from '../command-line.js';
import { DEFAULT_CONFIG_FILE } from '../config-file.js';
import { askForConfig } from '../init/config-answers.js';
import { configFiles, SCHEMA_FILE } from '../init/config-files.js';
import { repositoryFiles } from '../init/repository-files.js';
import { type WrittenFile, writeNewFiles } from '../init/write-new-files.js';
import type { Session } from '../session.js';
import { buildSchema } from './schema.js';

interface InitOptions {
  readonly repository?: string;
  readonly yes?: boolean;
}

const tellFiles = (session: Session, files: readonly WrittenFile[]): readonly string[] =>
  files.map(({ path, what, state }) => {
    const shown = relative(session.world.folder, path) || path;
    return state === 'written'
      ? `${session.paint.green('+')} ${shown}  ${session.paint.dim(what)}`
      : `${session.paint.yellow('=')} ${shown}  exists, left as it is`;
  });

const initRepository = async (session: Session, given: string): Promise<void> => {
  const folder = resolve(session.world.folder, given);
  const isFolder = await stat(folder).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  if (!isFolder)
    throw new PluginError({
      code: 'CLI_FOLDER_NOT_FOUND',
      message: `${folder} is not a folder`,
      hint: 'Name the working copy of the repository that is to be delivered.',
      recovery: 'stop',
    });
  const files = await writeNewFiles(repositoryFiles(folder));
  session.show({ files }, () => tellFiles(session, files));
  session.note(`Next: fill the scripts in, then pipit lint ${given}; commit them.`);
};

const initConfig = async (session: Session, given: string, isAsked: boolean): Promise<void> => {
  const { world } = session;
  const folder = resolve(world.folder, given);
  const answers = await askForConfig(session, folder, isAsked);
  const own = await writeNewFiles(configFiles(folder, answers, world.randomText(32)));
  // Made from the config that was just written, so that its plugins' own schemas are in it.
  const schema = `${JSON.stringify(await buildSchema(session, join(folder, DEFAULT_CONFIG_FILE)), null, 2)}\n`;
  const files = [...own, ...(await writeNewFiles([{ path: join(folder, SCHEMA_FILE), text: schema, what: 'for completion in editors' }]))];
  session.show({ files }, () => tellFiles(session, files));
  const at = relative(world.folder, folder);
  const enter = at === '' ? '' : `cd ${at.startsWith('..') ? folder : at} && `;
  session.note(`\nNext: ${enter}pipit check, then pipit doctor, then pipit serve.`);
};

export const addInitCommand = (program: Command, launch: Launch): void => {
  const command = program
    .command('init')
    .argument('[folder]', 'where the config goes', '.')
    .description('write a commented config to begin with, or a repository’s scripts; never overwrites')
    .option('--repository <folder>', 'write the three scripts and pipit.yaml into this working copy instead')
    .option('-y, --yes', 'ask nothing, take what is proposed');
  addExamples(command, [
    { run: 'pipit init', what: 'a config, an inventory of hosts and a webhook secret, in this folder' },
    { run: 'pipit init /etc/pipit --yes', what: 'in another one, asking nothing' },
    { run: 'pipit init --repository .', what: 'the scripts that a delivered repository has' },
  ]);
  launch<InitOptions>(command, async (session, { args, options }) => {
    if (options.repository !== undefined) await initRepository(session, options.repository);
    else await initConfig(session, args[0] ?? '.', options.yes !== true && session.options.json !== true);
    return undefined;
  });
};
