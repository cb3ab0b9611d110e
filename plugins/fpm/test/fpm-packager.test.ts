import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Artifact, type PackageMetadata, type PackageRequest, PluginError, packageVersion, type Shell } from '@pipit/core';
import { createSandbox } from '@pipit/plugin-kit';
import {
  createMemoryFileStore,
  createTemporaryFolder,
  createTestOp,
  createTestShell,
  createTestSource,
  type MemoryFileStore,
  type TestFiles,
  type TestSource,
} from '@pipit/plugin-testing';
import { fpmProgram } from 'pipit-lab';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { FpmConfig, FpmOptions } from '../src/config.js';
import { createPackager, files, metadata, noOptions, prefixed, requestFor, run, script } from './package-requests.js';

vi.setConfig({ testTimeout: 180_000 });

const newFolder = async (): Promise<string> => {
  const folder = await createTemporaryFolder();
  onTestFinished(() => folder.remove());
  return folder.path;
};

const commitOf = async (content: TestFiles): Promise<TestSource> => {
  const source = await createTestSource({ files: content });
  onTestFinished(() => source.remove());
  return source;
};

interface Making extends Partial<PackageRequest<FpmOptions>> {
  readonly store?: MemoryFileStore;
  readonly key?: string;
  readonly config?: Partial<FpmConfig>;
  /** Changes the shell, for example to another host name. */
  readonly through?: (shell: Shell) => Shell;
}

const make = async (
  source: TestSource,
  { store = createMemoryFileStore(), key = '42@lx1:package:package:1', config, through = (shell) => shell, ...overrides }: Making = {},
) => {
  const folder = await newFolder();
  const op = createTestOp({ shell: through(createTestShell(folder)), source, files: store, key, timeoutMs: 170_000 });
  const artifacts = await (await createPackager(config)).package(requestFor(source, overrides), op);
  return { artifacts, store, op, folder };
};

/** The package as a file, for the format's own programs. */
const saved = async (store: MemoryFileStore, artifact: Artifact | undefined): Promise<string> => {
  if (artifact === undefined || !('sha256' in artifact.content)) return expect.fail('no package');
  const path = join(await newFolder(), `web.${artifact.format}`);
  await writeFile(path, await store.readBytes(artifact.content));
  return path;
};

const only = (formats: FpmOptions['formats']): FpmOptions => ({ ...noOptions, formats });

describe('the FPM packager', () => {
  it('makes a deb that says of itself what it should, with unit, post-install script and config files', async () => {
    const source = await commitOf(files);
    const { artifacts, store } = await make(source, { options: only(['deb']) });
    expect(artifacts.map(({ format, architecture }) => [format, architecture])).toEqual([['deb', 'all']]);
    const deb = await saved(store, artifacts[0]);
    const listed = (await run(['dpkg-deb', '--contents', deb])).trim().split('\n');
    const paths = listed.map((line) => {
      const [mode, owner, , , , ...path] = line.split(/ +/);
      return `${mode} ${owner} ${path.join(' ')}`;
    });
    expect(paths.filter((path) => !path.endsWith('/')).sort()).toEqual([
      '-rw-r--r-- 0/0 ./lib/systemd/system/web.service',
      '-rw-r--r-- 0/0 ./opt/web/.env.sample',
      '-rw-r--r-- 0/0 ./opt/web/etc/web.conf',
      '-rw-r--r-- 0/0 ./opt/web/systemd/web.service',
      '-rw-r--r-- 0/0 ./usr/share/doc/web/changelog.gz',
      '-rwxr-xr-x 0/0 ./opt/web/bin/web',
      '-rwxr-xr-x 0/0 ./opt/web/script/post-inst',
      'lrwxrwxrwx 0/0 ./opt/web/link -> bin/web',
    ]);
    const fields = await run(['dpkg-deb', '--field', deb]);
    for (const line of [
      'Package: web',
      `Version: ${packageVersion(source.commit, '1.2.0-rc1')}`,
      'Architecture: all',
      'Maintainer: Ada <ada@example.org>',
      'Depends: libc6 (>= 2.30), curl',
      `X-Pipit-Commit: ${source.commit.sha}`,
      'X-Pipit-Run: 42@lx1',
      'Description: A small web service: 100% sure\n It says hello.\n .\n To everybody.',
    ])
      expect(`\n${fields}`).toContain(`\n${line}\n`);
    expect(fields).not.toMatch(/^Vendor:/m);
    expect(await run(['dpkg-deb', '--info', deb, 'postinst'])).toBe(`#!/bin/sh\nname=web.conf\necho "installed \${name%%.*}"\n`);
    expect(await run(['dpkg-deb', '--info', deb, 'conffiles'])).toBe('/opt/web/etc/web.conf\n');
  });

  it('makes an rpm that says of itself what it should', async () => {
    const source = await commitOf(files);
    const { artifacts, store } = await make(source, { options: only(['rpm']) });
    expect(artifacts.map(({ format, architecture }) => [format, architecture])).toEqual([['rpm', 'noarch']]);
    const rpm = await saved(store, artifacts[0]);
    const query = (format: string) => run(['rpm', '-qp', '--nosignature', '--qf', format, rpm]);
    expect(await query('%{NAME} %{VERSION}-%{RELEASE} %{ARCH} %{PACKAGER} %{VENDOR} %{BUILDHOST} %{BUILDTIME}')).toBe(
      `web ${packageVersion(source.commit, '1.2.0-rc1')} noarch Ada <ada@example.org> (none) pipit 1767225600`,
    );
    expect(await query('%{DESCRIPTION}')).toBe('A small web service: 100% sure\nIt says hello.\n .\nTo everybody.');
    expect((await query('[%{REQUIRENEVRS}\\n]')).split('\n')).toEqual(expect.arrayContaining(['libc6 >= 2.30', 'curl']));
    expect((await query('[%{PROVIDENEVRS}\\n]')).split('\n')).toEqual(
      expect.arrayContaining([`pipit-commit(${source.commit.sha})`, 'pipit-run(42@lx1)']),
    );
    const listed = (await query('[%{FILENAMES} %{FILEFLAGS:fflags} %{FILEMODES:perms} %{FILEUSERNAME} %{FILEMTIMES}\\n]'))
      .trim()
      .split('\n');
    expect(listed).toEqual(
      expect.arrayContaining([
        '/opt/web/etc/web.conf cn -rw-r--r-- root 1767225600',
        '/opt/web  drwxr-xr-x root 1767225600',
        '/usr/lib/systemd/system/web.service  -rw-r--r-- root 1767225600',
      ]),
    );
    expect(listed.filter((line) => /^\/lib|\.git/.test(line))).toEqual([]);
    expect(await query('%{POSTIN}')).toBe(`#!/bin/sh\nname=web.conf\necho "installed \${name%%.*}"`);
  });

  it('makes the same bytes on another day, on a host of another name, in a retry', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('needs root for another host name (unshare --uts)');
    const source = await commitOf({
      ...files,
      'script/package': script('mkdir -p "$PIPIT_PACKAGE_ROOT/opt/web"; cp -r . "$PIPIT_PACKAGE_ROOT/opt/web/"'),
    });
    const first = await make(source);
    const elsewhere = ['unshare', '--uts', 'sh', '-c', 'hostname elsewhere; umask 077; exec "$@"', 'sh', 'faketime', '-f', '+400d'];
    const second = await make(source, { key: '42@lx1:package:package:2', through: (shell) => prefixed(shell, elsewhere) });
    expect(second.artifacts).toEqual(first.artifacts);
    expect(first.artifacts.map(({ format }) => format)).toEqual(['deb', 'rpm']);
  });

  it('packs what script/package leaves, without a .git and what is excluded', async () => {
    const source = await commitOf({
      ...files,
      'script/package': script(
        [
          'set -e',
          'mkdir -p "$PIPIT_PACKAGE_ROOT/usr/bin" "$PIPIT_PACKAGE_ROOT/opt/web/lib/.git/objects" "$PIPIT_PACKAGE_ROOT/opt/web/test"',
          'cp "$PIPIT_OUTPUT/opt/web/server" "$PIPIT_PACKAGE_ROOT/usr/bin/$PIPIT_APP"',
          'echo x > "$PIPIT_PACKAGE_ROOT/opt/web/lib/.git/objects/x"',
          'echo x > "$PIPIT_PACKAGE_ROOT/opt/web/test/x"',
          'echo "--name evil" > "$HOME/.fpm"; echo "%_buildhost evil" > "$HOME/.rpmmacros"; echo "--name evil" > .fpm',
          'echo packed',
        ].join('\n'),
      ),
    });
    const store = createMemoryFileStore();
    const outputs = [{ path: 'opt/web/server', file: store.putBytes('\u007fELF...') }];
    const { artifacts, op } = await make(source, {
      store,
      outputs,
      metadata: { ...metadata, configFiles: [] },
      options: { formats: undefined, exclude: ['opt/web/test'] },
    });
    const expected = ['/opt/web/server', '/usr/bin/web'];
    const deb = await run(['dpkg-deb', '--contents', await saved(store, artifacts[0])]);
    const inDeb = deb.split('\n').map((line) => line.split(/ +/)[5]?.slice(1) ?? '');
    const inRpm = (await run(['rpm', '-qpl', '--nosignature', await saved(store, artifacts[1])])).split('\n');
    for (const paths of [inDeb, inRpm]) {
      expect(paths).toEqual(expect.arrayContaining(expected));
      expect(paths.filter((path) => /\.git|test/.test(path))).toEqual([]);
    }
    expect(await run(['rpm', '-qp', '--nosignature', '--qf', '%{NAME} %{BUILDHOST}', await saved(store, artifacts[1])])).toBe('web pipit');
    // What a script prints belongs to the log, where it is redacted as one stream.
    expect(op.progress.map(({ message }) => message)).not.toContain('packed');
  });

  it('runs a bash script of an rpm with bash, and keeps its options', async () => {
    const text = `a=(one "two words")\nprintf "%s|" "\${a[@]}" "$1"\nfalse\necho not reached`;
    const source = await commitOf({ ...files, 'script/post-inst': script(text, '/bin/bash -e') });
    const { artifacts, store } = await make(source, { options: only(['rpm']) });
    const folder = await newFolder();
    await writeFile(
      join(folder, 'post'),
      await run(['rpm', '-qp', '--nosignature', '--qf', '%{POSTIN}', await saved(store, artifacts[0])]),
    );
    const result = await createTestShell(folder).run(['sh', 'post', '1']);
    expect(result).toMatchObject({ exitCode: 1, stdout: 'one|two words|1|' });
  });

  it('works in the sandbox of this machine', async () => {
    // The sandbox's user does not enter a home, where the cache is.
    const gemFolder = join(await newFolder(), 'gems');
    await run(['cp', '-a', '--', (await fpmProgram()).gemFolder, gemFolder]);
    await run(['chmod', '0755', '--', dirname(gemFolder), gemFolder]);
    const sandbox = await createSandbox({ hidden: [], readable: [gemFolder] });
    const through = (shell: Shell): Shell => ({
      ...shell,
      run: async (argv, { confined, ...rest } = {}) => {
        if (confined !== true) return shell.run(argv, rest);
        await sandbox.giveFolder(shell.folder);
        const cwd = join(shell.folder, rest.cwd ?? '.');
        const command = sandbox.confine(argv, { folder: cwd, writable: [shell.folder], env: rest.env ?? {} });
        return shell.run(command.argv, { ...rest, env: command.env });
      },
    });
    const source = await commitOf(files);
    const confined = await make(source, { through, config: { program: join(gemFolder, 'bin/fpm'), gemFolder } });
    expect(confined.artifacts).toEqual((await make(source)).artifacts);
  });

  it('leaves all of its work within its folder', async () => {
    const temporary = await newFolder();
    await mkdir(join(temporary, 'tmp'));
    const source = await commitOf(files);
    const seen: string[] = [];
    await make(source, {
      through: (shell) => ({
        ...shell,
        run: async (argv, runOptions) => {
          if (argv.includes('--workdir'))
            seen.push(`${argv[argv.indexOf('--workdir') + 1]}`.replace(shell.folder, 'FOLDER'), `${runOptions?.confined}`);
          return shell.run(argv, runOptions);
        },
      }),
    });
    expect(seen).toEqual(['FOLDER/fpm/work', 'true', 'FOLDER/fpm/work', 'true']);
    expect((await readdir('/tmp')).filter((name) => /^package-(?:dir|deb|rpm)-|^rpm-tmp/.test(name))).toEqual([]);
  });

  it('says what to install where FPM or rpmbuild is missing', async () => {
    const source = await commitOf(files);
    await expect(make(source, { config: { program: 'fpm-that-is-nowhere' } })).rejects.toMatchObject({
      code: 'FPM_PROGRAM_MISSING',
      recovery: 'stop',
      hint: expect.stringContaining('gem install --no-document fpm'),
    });
    const withoutRpm = (shell: Shell): Shell => ({
      ...shell,
      run: async (argv, runOptions) =>
        argv[0] === 'rpmbuild' ? { exitCode: 127, stdout: '', stderr: 'not found' } : shell.run(argv, runOptions),
    });
    await expect(make(source, { through: withoutRpm })).rejects.toMatchObject({
      code: 'FPM_PROGRAM_MISSING',
      hint: expect.stringContaining('apt-get install rpm'),
    });
  });

  it('hands on a cancel of the shell as it is', async () => {
    const source = await commitOf(files);
    const aborted = new PluginError({ code: 'COMMAND_ABORTED', message: 'fpm was cancelled', recovery: 'reconcile' });
    const through = (shell: Shell): Shell => ({
      ...shell,
      run: (argv, runOptions) => (argv.includes('--workdir') ? Promise.reject(aborted) : shell.run(argv, runOptions)),
    });
    await expect(make(source, { through })).rejects.toBe(aborted);
  });

  it.each([
    ['a name in upper case', { app: 'Web' }, {}, 'INVALID_PACKAGE_NAME'],
    ['a version with _', { version: '1_2' }, {}, 'INVALID_VERSION'],
    ['an rpm version without a release', { version: '1.2' }, {}, 'FPM_VERSION_INVALID'],
    ['a format that the instance does not make', { options: only(['rpm']) }, { config: { formats: ['deb'] } }, 'FPM_FORMAT_NOT_CONFIGURED'],
    ['a dependency that adds a field', { metadata: { ...metadata, depends: ['a\nEssential: yes'] } }, {}, 'FPM_FIELD_INVALID'],
    ['a dependency with _ in a deb', { metadata: { ...metadata, depends: ['lib_x'] } }, {}, 'FPM_FIELD_INVALID'],
    ['alternatives in an rpm', { metadata: { ...metadata, depends: ['a | b'] } }, {}, 'FPM_FIELD_INVALID'],
    ['another architecture', { metadata: { ...metadata, architectures: ['s390x'] } }, {}, 'FPM_ARCHITECTURE_UNSUPPORTED'],
    ['a config file that is not there', { metadata: { ...metadata, configFiles: ['/etc/web'] } }, {}, 'PACKAGE_CONFIG_FILE_MISSING'],
  ])('refuses %s', async (_name, overrides, changed, code) => {
    const source = await commitOf(files);
    const wrong = overrides as Partial<PackageRequest<FpmOptions>>; // what a caller without our types could hand in
    await expect(make(source, { ...wrong, ...(changed as Making) })).rejects.toMatchObject({ code, recovery: 'stop' });
  });

  it('refuses a script that an rpm could not run', async () => {
    for (const text of ['#!/usr/bin/python3\nprint(1)\n', '#!/bin/sh\n%files\n/etc/passwd\n', '#!/bin/bash\nPIPIT_POST_INST_END\n'])
      await expect(make(await commitOf({ ...files, 'script/post-inst': text }))).rejects.toMatchObject({
        code: 'FPM_RPM_SCRIPT_UNSUPPORTED',
      });
  });

  it('tells what FPM said when it fails', async () => {
    const source = await commitOf(files);
    const through = (shell: Shell): Shell => ({
      ...shell,
      run: (argv, runOptions) => shell.run(argv.includes('--workdir') ? [...argv.slice(0, -1), 'no-such-folder'] : argv, runOptions),
    });
    await expect(make(source, { through })).rejects.toMatchObject({
      code: 'FPM_FAILED',
      message: expect.stringContaining('no-such-folder'),
    });
  });

  it('notices a package that is not what was asked for', async () => {
    const source = await commitOf(files);
    const through = (shell: Shell): Shell => ({
      ...shell,
      run: (argv, runOptions) =>
        shell.run(
          argv.map((word) => (word === 'web' && argv.includes('--workdir') ? 'Web_x' : word)),
          runOptions,
        ),
    });
    await expect(make(source, { through, options: only(['deb']) })).rejects.toMatchObject({
      code: 'FPM_PACKAGE_MISMATCH',
      message: expect.stringContaining('its name is "web-x" and not "web"'),
    });
  });
});

describe('dependencies', () => {
  const all: PackageMetadata['depends'] = ['libc6 (>> 2.30)', 'b < 3', 'c'];
  it('are written in the words of each format', async () => {
    const { dependencyFor } = await import('../src/package-fields.js');
    expect(all.map((dependency) => dependencyFor('deb', dependency))).toEqual(['libc6 (>> 2.30)', 'b (<< 3)', 'c']);
    expect(all.map((dependency) => dependencyFor('rpm', dependency))).toEqual(['libc6 > 2.30', 'b < 3', 'c']);
    expect(dependencyFor('deb', 'a | b (>= 1)')).toBe('a | b (>= 1)');
  });
});
