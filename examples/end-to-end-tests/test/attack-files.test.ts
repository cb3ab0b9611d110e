import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RepositoryFiles } from './support/developer.js';
import { createInstallation, type Installation } from './support/installation.js';
import { expectNothingLeftBehind } from './support/left-behind.js';

const TEST_TIMEOUT_MS = 480_000;
const NEIGHBOUR = 'neighbour';
/** Only pipit's own user may read it, and it is nowhere in the data folder or a repository. */
const SECRET = 'secret-3f1d5c0e7ab94e64a2c1-of-pipits-user';

let installation: Installation;
let secret: string;

beforeAll(async () => {
  installation = await createInstallation({
    rings: [{ name: 'canary' }],
    hosts: { web1: 'canary' },
    otherApps: [NEIGHBOUR],
  });
  secret = join(installation.folder, 'private', 'key');
  await mkdir(dirname(secret), { mode: 0o700 });
  await writeFile(secret, SECRET, { mode: 0o600 });
  await installation.start();
}, TEST_TIMEOUT_MS);
afterAll(() => installation?.remove());

const script = (...lines: readonly string[]): string => ['#!/bin/bash', 'set -e', ...lines, ''].join('\n');

const harmless: RepositoryFiles = {
  'pipit.yaml': 'version: 1.0.0\ndescription: An app\n',
  'script/cisetup': script(),
  'script/cibuild': script(),
  'script/package': script('mkdir -p "$PIPIT_PACKAGE_ROOT/opt/app"', 'cp content "$PIPIT_PACKAGE_ROOT/opt/app/"'),
  'script/post-inst': script(),
  content: 'first\n',
};

/** In the folder where the package is made. `/proc/self/cwd` is that folder inside the sandbox, and another one outside. */
const packaging = (...lines: readonly string[]): RepositoryFiles => ({
  'script/package': script('mkdir -p "$PIPIT_PACKAGE_ROOT/opt/app"', 'cd "$PIPIT_PACKAGE_ROOT/.."', ...lines),
});
const building = (...lines: readonly string[]): RepositoryFiles => ({ 'script/cibuild': script('cd "$PIPIT_OUTPUT"', ...lines) });

type Attack = readonly [name: string, files: () => RepositoryFiles, error: RegExp];

const ATTACKS: readonly Attack[] = [
  [
    'a package that is a link, which means another file outside of the sandbox',
    () => packaging(`mkdir -p ".${dirname(secret)}"`, `ln -s "/proc/self/cwd${secret}" package.deb`),
    /CONFINED_PATH_REFUSED/,
  ],
  [
    'a package that is an endless device outside of the sandbox',
    () => packaging('mkdir dev', 'ln -s /proc/self/cwd/dev/zero package.deb'),
    /CONFINED_PATH_REFUSED/,
  ],
  ['a package that is a link to a secret', () => packaging(`ln -s "${secret}" package.deb`), /PACKAGE_BUILD_FAILED/],
  ['a package that is a folder', () => packaging('mkdir package.deb'), /PACKAGE_BUILD_FAILED/],
  ['a package that is a hard link', () => packaging(`ln /etc/passwd package.deb`), /PACKAGE_SCRIPT_FAILED/],
  [
    'a package root that is a link',
    () => packaging('rm -r root', `mkdir -p ".${dirname(secret)}"`, `ln -s "/proc/self/cwd${dirname(secret)}" root`),
    /PACKAGE_BUILD_FAILED/,
  ],
  ['an output that is a link', () => building(`ln -s "/proc/self/cwd${secret}" leak`), /LOCAL_CI_OUTPUT_REFUSED/],
  ['an output folder that is a link', () => building('mkdir a', `ln -s "${dirname(secret)}" a/leak`), /LOCAL_CI_OUTPUT_REFUSED/],
  ['an output that is a pipe', () => building('mkfifo leak'), /LOCAL_CI_OUTPUT_REFUSED/],
  ['an output of three gigabytes of holes', () => building('truncate -s 3G leak'), /LOCAL_CI_OUTPUT_REFUSED/],
  [
    'a record of progress that is a link',
    () => building(`rm ../progress/script`, `ln -s "${secret}" ../progress/script`, 'exit 3'),
    /script\/cisetup exited 3/,
  ],
  [
    'a post-install script that is a link',
    () => ({ ...harmless, 'script/post-inst': { linkTo: secret } }),
    /PACKAGE_POST_INST_NO_INTERPRETER/,
  ],
];

/** Every file of the data folder that holds the secret: the served folder, the file store, logs, the database. */
const filesWithSecret = async (): Promise<string> => {
  const argv = ['--recursive', '--files-with-matches', '--text', '--fixed-strings', '--devices=skip', SECRET, installation.dataFolder];
  return (await execa('grep', argv, { reject: false })).stdout;
};

it(
  'reads nothing for repository code that it may not read itself, leaves nothing behind, and delivers other apps meanwhile',
  async () => {
    const neighbour = await installation.developerOf(NEIGHBOUR).push(harmless);
    const seen: Record<string, string> = {};
    for (const [name, files] of ATTACKS) {
      const sha = await installation.developer.push({ ...harmless, content: `${name}\n`, ...files() });
      const run = await installation.waitForRun(sha, `it has ended: ${name}`, (each) => each.state === 'ended', 180_000);
      const detail = await installation.api().showRun(String(run.id));
      seen[name] = `${String(run.outcome)}: ${JSON.stringify(detail)}`;
    }
    const delivered = await installation.waitForRun(neighbour, 'it has ended', (each) => each.state === 'ended');
    expect(delivered.outcome).toBe('succeeded');

    await expectNothingLeftBehind(installation);
    expect(await filesWithSecret()).toBe('');
    const answers = JSON.stringify([await installation.api().listRuns({ limit: 50 }), await installation.api().listAudit({ limit: 200 })]);
    for (const text of [installation.server().log(), answers, ...Object.values(seen)]) expect(text).not.toContain(SECRET);
    for (const [name, , error] of ATTACKS) {
      expect(`${name} ${seen[name]?.slice(0, 7)}`).toBe(`${name} failed:`);
      expect(seen[name]).toMatch(error);
    }
    // What hosts can read is the neighbour's package alone.
    expect(Object.keys(await installation.published())).toEqual([String(delivered.version)]);
    const served = await execa('find', [join(installation.localFolder, 'apt'), '-name', '*.deb']);
    expect(served.stdout).toMatch(/^\S+\/pool\/neighbour\/\S+\.deb$/);
    // Nobody else may write what pipit made, and read no more of it than what is served. A host's files are its packages'.
    const open = await execa('find', [
      installation.dataFolder,
      '-path',
      '*/hosts/*',
      '-prune',
      '-o',
      '!',
      '-type',
      'l',
      '-perm',
      '/022',
      '-print',
    ]);
    expect(open.stdout).toBe('');
  },
  TEST_TIMEOUT_MS,
);
