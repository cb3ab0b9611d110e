import { join } from 'node:path';
import { appNameOf, isPluginError } from '@pipit/core';
import type { Session } from '../session.js';

export interface ConfigAnswers {
  /** For example `acme/web`. */
  readonly repository: string;
  /** The bare repository's folder, absolute. */
  readonly repositoryPath: string;
  readonly port: number;
}

/** Source: the default of the config's `server.port`. */
const DEFAULT_PORT = 7420;

export const appOf = (repository: string): string => appNameOf({ id: repository, name: repository, url: '' });

const isRepositoryName = (text: string): boolean => {
  try {
    return /^[^\s/][^\s]*$/.test(text) && appOf(text) !== '';
  } catch (error) {
    if (isPluginError(error)) return false;
    throw error;
  }
};

const isPort = (text: string): boolean => /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;

/** Answers of a person; what stands there already without one. A wrong answer is asked for again. */
export const askForConfig = async ({ world }: Session, folder: string, isAsked: boolean): Promise<ConfigAnswers> => {
  const ask = isAsked ? world.ask : undefined;
  const answer = async (question: string, fallback: string, isRight: (text: string) => boolean, wrong: string): Promise<string> => {
    for (;;) {
      const text = ask === undefined ? fallback : await ask(question, fallback);
      if (isRight(text)) return text;
      world.stderr.write(`${wrong}\n`);
    }
  };
  const repository = await answer(
    'Name of the repository to deliver',
    'acme/web',
    isRepositoryName,
    'Expected a name such as acme/web; its last part names the app: lower-case letters, digits, "+", "-" and ".".',
  );
  const repositoryPath = await answer(
    'Its bare git repository on this machine',
    join(folder, 'repositories', `${appOf(repository)}.git`),
    (text) => text.startsWith('/'),
    'Expected an absolute path.',
  );
  const port = await answer('Port to listen on (loopback)', String(DEFAULT_PORT), isPort, 'Expected a number from 1 to 65535.');
  return { repository, repositoryPath, port: Number(port) };
};
