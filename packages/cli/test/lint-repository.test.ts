import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lintRepository } from '../src/lint/lint-repository.js';
import { runCli } from '../src/run-cli.js';
import { createFakeWorld } from './support/fake-world.js';

const run = promisify(execFile);

const newFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-lint-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

const write = async (folder: string, path: string, text: string, mode = 0o644): Promise<void> => {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
  await chmod(join(folder, path), mode);
};

/** A repository as `pipit init --repository` makes it. */
const newRepository = async (): Promise<string> => {
  const folder = await newFolder();
  expect(await runCli(['init', '--repository', folder, '--quiet'], createFakeWorld().world)).toBe(0);
  return folder;
};

const UNIT = '[Unit]\nDescription=web\n[Service]\nExecStart=/opt/web/server\n';

describe('lint', () => {
  it('passes what init wrote', async () => {
    expect(await lintRepository(await newRepository())).toEqual([]);
  });

  it('passes a service with its unit, a compiled script and an optional script/package', async () => {
    const folder = await newRepository();
    await write(folder, 'pipit.yaml', 'services: [web]\n');
    await write(folder, 'systemd/web.service', UNIT);
    await write(folder, 'script/post-inst', '\u007fELF', 0o755);
    await write(folder, 'script/package', '#!/usr/bin/env bash\n', 0o755);
    expect(await lintRepository(folder)).toEqual([]);
  });

  it.each<[string, (folder: string) => Promise<void>, string]>([
    ['script-missing', (folder) => unlink(join(folder, 'script/cibuild')), 'script/cibuild'],
    ['script-not-executable', (folder) => chmod(join(folder, 'script/cisetup'), 0o644), 'script/cisetup'],
    ['script-shebang-crlf', (folder) => write(folder, 'script/cibuild', '#!/bin/sh\r\nexit 0\r\n', 0o755), 'script/cibuild:1'],
    ['script-shebang-missing', (folder) => write(folder, 'script/cibuild', 'exit 0\n', 0o755), 'script/cibuild:1'],
    ['script-shebang-missing', (folder) => write(folder, 'script/cibuild', '', 0o755), 'script/cibuild:1'],
    ['script-shebang-relative', (folder) => write(folder, 'script/cibuild', '#!sh\n', 0o755), 'script/cibuild:1'],
    ['script-byte-order-mark', (folder) => write(folder, 'script/cibuild', '\ufeff#!/bin/sh\n', 0o755), 'script/cibuild:1'],
    ['script-not-executable', (folder) => write(folder, 'script/package', '#!/bin/sh\n'), 'script/package'],
    ['repository-file', (folder) => write(folder, 'pipit.yaml', 'description: x\nrings: [canary]\n'), 'pipit.yaml:2:1'],
    ['repository-file', (folder) => write(folder, 'pipit.yaml', 'services: [\n'), 'pipit.yaml:'],
    ['unit-missing', (folder) => write(folder, 'pipit.yaml', 'services: [web]\n'), 'systemd/web.service'],
  ])('tells of %s alone, where it is and what to do (%#)', async (rule, breach, where) => {
    const folder = await newRepository();
    await breach(folder);
    const findings = await lintRepository(folder);
    expect(findings.map((finding) => finding.rule)).toEqual([rule]);
    expect(findings[0]?.where.startsWith(where)).toBe(true);
    expect(findings[0]?.hint).not.toBe('');
  });

  it.each<[string, string, (path: string, secret: string) => Promise<unknown>]>([
    ['pipit.yaml', 'repository-file', (path, secret) => symlink(secret, path)],
    ['pipit.yaml', 'repository-file', (path) => symlink('/dev/zero', path)],
    ['pipit.yaml', 'repository-file', (path) => run('mkfifo', [path])],
    ['script/cibuild', 'script-not-a-file', (path, secret) => symlink(secret, path)],
    ['script/cibuild', 'script-not-a-file', (path) => run('mkfifo', [path])],
    ['systemd/web.service', 'unit-malformed', (path) => symlink('/proc/self/environ', path)],
  ])('reads nothing outside of the repository, and waits for nothing: %s (%#)', async (path, rule, set) => {
    const folder = await newRepository();
    const secret = join(await newFolder(), 'secret');
    await writeFile(secret, 'password: hunter2\n', { mode: 0o755 });
    if (path.startsWith('systemd')) await write(folder, 'pipit.yaml', 'services: [web]\n');
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await rm(join(folder, path), { force: true });
    await set(join(folder, path), secret);
    const findings = await lintRepository(folder);
    expect(findings.map((finding) => finding.rule)).toEqual([rule]);
    expect(JSON.stringify(findings)).not.toMatch(/password|hunter2/);
  });

  it('takes a link to another file of the repository', async () => {
    const folder = await newRepository();
    await write(folder, 'ci/build', '#!/bin/sh\n', 0o755);
    await unlink(join(folder, 'script/cibuild'));
    await symlink('../ci/build', join(folder, 'script/cibuild'));
    expect(await lintRepository(folder)).toEqual([]);
  });

  it('warns of a folder of the name of a package that hosts cannot do without', async () => {
    const folder = join(await newFolder(), 'libc6');
    await mkdir(folder);
    expect(await runCli(['init', '--repository', folder, '--quiet'], createFakeWorld().world)).toBe(0);
    expect(await lintRepository(folder)).toMatchObject([{ rule: 'app-name-reserved', level: 'warning', where: 'libc6' }]);
  });

  it.each(['[Unit]\n', '[Service]\nRestart=always\n'])('tells of a unit that starts nothing: %j', async (unit) => {
    const folder = await newRepository();
    await write(folder, 'pipit.yaml', 'services: [web]\n');
    await write(folder, 'systemd/web.service', unit);
    expect((await lintRepository(folder)).map((finding) => finding.rule)).toEqual(['unit-malformed']);
  });

  it('looks at what git keeps: a script that is executable only in the working copy fails in CI', async () => {
    const folder = await newRepository();
    const git = (...words: readonly string[]) => run('git', ['-C', folder, ...words]);
    await git('init', '--quiet');
    expect((await lintRepository(folder)).map(({ rule, level }) => `${level} ${rule}`)).toEqual(Array(3).fill('warning script-not-added'));
    await git('add', '.');
    expect(await lintRepository(folder)).toEqual([]);
    await git('update-index', '--chmod=-x', 'script/cibuild');
    const findings = await lintRepository(folder);
    expect(findings.map(({ rule, where }) => [rule, where])).toEqual([['script-not-executable-in-git', 'script/cibuild']]);
    await run('sh', ['-c', findings[0]?.hint ?? ''], { cwd: folder });
    expect(await lintRepository(folder)).toEqual([]);
  });

  it('exits with 1, and answers JSON', async () => {
    const folder = await newFolder();
    const fake = createFakeWorld();
    expect(await runCli(['lint', folder, '--json'], fake.world)).toBe(1);
    expect(JSON.parse(fake.out())).toMatchObject({ ok: false, findings: [{ rule: 'script-missing' }, {}, {}] });
  });

  it('exits with 2 for a folder that is not there', async () => {
    const fake = createFakeWorld();
    expect(await runCli(['lint', '/nonexistent/repository'], fake.world)).toBe(2);
    expect(fake.err()).toContain('CLI_FOLDER_NOT_FOUND');
  });
});
