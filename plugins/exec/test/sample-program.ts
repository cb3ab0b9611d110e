import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createTemporaryFolder, type TemporaryFolder } from '@pipit/plugin-testing';

/** The body of a program in JavaScript: `request` and `args` are there, and `answer(value)`, `refuse(error)`. */
export const program = (body: string): string => `#!${process.execPath}
const { readFileSync, writeFileSync, mkdirSync, existsSync } = require('node:fs');
const { spawn } = require('node:child_process');
const request = JSON.parse(readFileSync(0, 'utf8'));
const args = process.argv.slice(2);
const print = (value) => process.stdout.write(JSON.stringify(value));
const answer = (ok) => print({ ok });
const refuse = (error) => print({ error });
${body}
`;

/** The text of a program that describes itself so, and does `body` for all else. */
export const described = (description: object, body = 'answer(null)'): string =>
  program(
    `if (request.method === 'describe') answer(${JSON.stringify({ protocol: 1, name: 'sample', ...description })});\nelse { ${body} }`,
  );

/** The text as an executable file, in a folder of its own. */
export const putProgram = async (text: string): Promise<{ readonly path: string; readonly folder: TemporaryFolder }> => {
  const folder = await createTemporaryFolder();
  const path = join(folder.path, 'program');
  await writeFile(path, text);
  await chmod(path, 0o755);
  return { path, folder };
};

export const gate = { kinds: { gate: { version: 1, methods: ['judge'] } } } as const;
