import { join } from 'node:path';
import {
  type AppName,
  type Artifact,
  type PackageMetadata,
  type PackageRequest,
  packageVersion,
  type Sandbox,
  type Shell,
} from '@pipit/core';
import { createSandbox, minimalEnvironment, runCommand } from '@pipit/plugin-kit';
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
import { describe, expect, it, onTestFinished } from 'vitest';
import { controlFields, parseControl, renderControl } from '../src/local-packager-control.js';
import { createPackager, files, metadata, type Options, requestFor, script } from './package-requests.js';

/** A shell that confines as pipit's own does. */
const confiningShell = (folder: string, sandbox: Sandbox, umask = '022'): Shell => {
  const shell = createTestShell(folder);
  return {
    ...shell,
    async run(argv, options = {}) {
      const withUmask = ['sh', '-c', `umask ${umask}; exec "$@"`, 'sh', ...argv];
      if (options.confined !== true) return shell.run(withUmask, options);
      await sandbox.giveFolder(folder);
      const { confined: _confined, ...rest } = options;
      const command = sandbox.confine(withUmask, { folder, ...(options.env === undefined ? {} : { env: options.env }) });
      return shell.run(command.argv, { ...rest, env: command.env });
    },
  };
};

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

const make = async (
  source: TestSource,
  {
    umask,
    store = createMemoryFileStore(),
    ...overrides
  }: Partial<PackageRequest<Options>> & { umask?: string; store?: MemoryFileStore } = {},
) => {
  const folder = await newFolder();
  const sandbox = await createSandbox({ hidden: [] });
  const op = createTestOp({ shell: confiningShell(folder, sandbox, umask), source, files: store });
  const artifacts = await createPackager().package(requestFor(source, overrides), op);
  return { artifacts, store, op };
};

const run = async (argv: readonly string[]): Promise<string> => {
  const result = await runCommand(argv, { cwd: '/', env: minimalEnvironment('/') });
  if (result.exitCode !== 0) throw new Error(result.stderr);
  return result.stdout;
};

/** What dpkg sees in a package. */
const open = async (store: MemoryFileStore, artifact: Artifact | undefined) => {
  if (artifact === undefined || !('sha256' in artifact.content)) return expect.fail('no package');
  const folder = await newFolder();
  const { writeFile } = await import('node:fs/promises');
  const deb = join(folder, 'web.deb');
  await writeFile(deb, await store.readBytes(artifact.content));
  const listed = (await run(['dpkg-deb', '--contents', deb])).trim().split('\n');
  const paths = new Map(
    listed.map((line) => {
      const [mode = '', owner = '', , , , ...path] = line.split(/ +/);
      return [path.join(' '), `${mode} ${owner}`];
    }),
  );
  return {
    deb,
    paths,
    fields: parseControl(await run(['dpkg-deb', '--field', deb])),
    control: (name: string) => run(['dpkg-deb', '--info', deb, name]),
  };
};

describe('the local packager', () => {
  it('packs the commit under the prefix, with its unit, post-install script and config files', async () => {
    const source = await commitOf(files);
    const { artifacts, store } = await make(source);
    const { paths, fields, control } = await open(store, artifacts[0]);
    expect([...paths.keys()].filter((path) => !path.endsWith('/')).sort()).toEqual([
      './lib/systemd/system/web.service',
      './opt/web/.env.sample',
      './opt/web/bin/web',
      './opt/web/etc/web.conf',
      './opt/web/link -> bin/web',
      './opt/web/script/post-inst',
      './opt/web/systemd/web.service',
    ]);
    expect(paths.get('./opt/web/bin/web')).toBe('-rwxr-xr-x root/root');
    expect(paths.get('./opt/web/etc/web.conf')).toBe('-rw-r--r-- root/root');
    expect(paths.get('./opt/web/')).toBe('drwxr-xr-x root/root');
    expect(new Map(fields)).toEqual(
      new Map([
        ['Package', 'web'],
        ['Version', packageVersion(source.commit, '1.2.0')],
        ['Architecture', 'all'],
        ['Maintainer', 'Ada <ada@example.org>'],
        ['Depends', 'libc6 (>= 2.30)'],
        ['Section', 'misc'],
        ['Priority', 'optional'],
        ['Description', 'A small web service\n It says hello.\n .\n To everybody.'],
        ['X-Pipit-Commit', source.commit.sha],
      ]),
    );
    expect(await control('postinst')).toBe('#!/bin/sh\necho installed\n');
    expect(await control('conffiles')).toBe('/opt/web/etc/web.conf\n');
  });

  it('makes the same bytes of the same commit, in another folder, at another time, under another umask', async () => {
    const source = await commitOf({
      ...files,
      'script/package': script('mkdir -p "$PIPIT_PACKAGE_ROOT/opt/web"; cp -r . "$PIPIT_PACKAGE_ROOT/opt/web/"'),
    });
    const first = await make(source, { umask: '022' });
    const second = await (async () => {
      // File times have a resolution of one second in a package.
      const begin = performance.now();
      await expect.poll(() => performance.now() - begin, { timeout: 5_000 }).toBeGreaterThan(1_100);
      return make(source, { umask: '077' });
    })();
    expect(second.artifacts).toEqual(first.artifacts);
    const other = await source.commitNext({}, '2026-02-02T00:00:00.000Z');
    expect((await make(other)).artifacts[0]?.digest).not.toBe(first.artifacts[0]?.digest);
  });

  it('packs what script/package leaves, which sees CI’s outputs, and nothing of pipit', async () => {
    const source = await commitOf({
      ...files,
      'script/package': script(
        [
          'set -e',
          'mkdir -p "$PIPIT_PACKAGE_ROOT/usr/bin" "$PIPIT_PACKAGE_ROOT/DEBIAN"',
          'cp "$PIPIT_OUTPUT/opt/web/server" "$PIPIT_PACKAGE_ROOT/usr/bin/$PIPIT_APP"',
          'echo "$PIPIT_VERSION $PIPIT_COMMIT $SOURCE_DATE_EPOCH $PIPIT_PREFIX" > "$PIPIT_PACKAGE_ROOT/usr/bin/about"',
          'chmod 4755 "$PIPIT_PACKAGE_ROOT/usr/bin/about"',
          'echo "#!/bin/sh" > "$PIPIT_PACKAGE_ROOT/DEBIAN/preinst"',
          'echo packed',
        ].join('\n'),
      ),
    });
    const store = createMemoryFileStore();
    const outputs = [
      { path: 'opt/web/server', file: store.putBytes('\u007fELF...') },
      { path: 'opt/web/data', file: store.putBytes('data') },
    ];
    const { artifacts, op } = await make(source, { store, outputs, metadata: { ...metadata, configFiles: [], architectures: [] } });
    const { paths, deb } = await open(store, artifacts[0]);
    expect([...paths].filter(([path]) => !path.endsWith('/')).sort()).toEqual([
      ['./lib/systemd/system/web.service', '-rw-r--r-- root/root'],
      ['./opt/web/data', '-rw-r--r-- root/root'],
      ['./opt/web/server', '-rwxr-xr-x root/root'],
      ['./usr/bin/about', '-rwxr-xr-x root/root'],
      ['./usr/bin/web', '-rwxr-xr-x root/root'],
    ]);
    await expect(run(['dpkg-deb', '--info', deb, 'preinst'])).rejects.toThrow();
    // What a script prints belongs to the log, where it is redacted as one stream.
    expect(op.progress.map(({ message }) => message)).not.toContain('packed');
  });

  it('packs CI’s outputs alone where there is no script/package', async () => {
    const source = await commitOf(files);
    const store = createMemoryFileStore();
    const outputs = [{ path: 'usr/bin/web', file: store.putBytes('#!/bin/sh\n') }];
    const { artifacts } = await make(source, { store, outputs, metadata: { ...metadata, configFiles: [], services: [] } });
    const { paths } = await open(store, artifacts[0]);
    expect([...paths].filter(([path]) => !path.endsWith('/'))).toEqual([['./usr/bin/web', '-rwxr-xr-x root/root']]);
  });

  it('makes a package for this machine, and refuses another architecture', async () => {
    const source = await commitOf(files);
    const own = (await run(['dpkg', '--print-architecture'])).trim();
    const { artifacts } = await make(source, { metadata: { ...metadata, architectures: [own] } });
    expect(artifacts.map(({ architecture }) => architecture)).toEqual([own]);
    await expect(make(source, { metadata: { ...metadata, architectures: ['s390x'] } })).rejects.toMatchObject({
      code: 'LOCAL_ARCHITECTURE_UNSUPPORTED',
      message: `A package for s390x cannot be made on this ${own} machine`,
    });
  });

  it.each([
    ['no post-install script', { 'script/post-inst': undefined }, {}, 'PACKAGE_POST_INST_MISSING'],
    ['a post-install script without an interpreter', { 'script/post-inst': 'echo' }, {}, 'PACKAGE_POST_INST_NO_INTERPRETER'],
    ['a service without a unit file', {}, { services: ['web', 'worker'] }, 'PACKAGE_UNIT_FILE_MISSING'],
    ['a config file that is not there', {}, { configFiles: ['/etc/web'] }, 'PACKAGE_CONFIG_FILE_MISSING'],
    ['a config file outside of the package', {}, { configFiles: ['/../../etc/passwd'] }, 'PACKAGE_CONFIG_FILE_MISSING'],
    ['a dependency that adds a field', {}, { depends: ['libc6\nEssential: yes'] }, 'LOCAL_PACKAGE_FIELD_INVALID'],
    ['a package script that is not executable', { 'script/package': '#!/bin/sh\n' }, {}, 'PACKAGE_SCRIPT_NOT_EXECUTABLE'],
    ['a package script that fails', { 'script/package': script('echo because >&2; exit 9') }, {}, 'PACKAGE_SCRIPT_FAILED'],
    ['a pipe in the package', { 'script/package': script('mkfifo "$PIPIT_PACKAGE_ROOT/pipe"') }, {}, 'PACKAGE_BUILD_FAILED'],
  ])('refuses %s', async (_name, changed, changedMetadata, code) => {
    const content = Object.fromEntries(Object.entries({ ...files, ...changed }).filter(([, file]) => file !== undefined)) as TestFiles; // undefined was just taken out
    const source = await commitOf(content);
    // Constants: a service's name is one that the parser accepts.
    const all = { ...metadata, configFiles: [], ...changedMetadata } as PackageMetadata;
    await expect(make(source, { metadata: all })).rejects.toMatchObject({ code, recovery: 'stop' });
  });

  it('refuses an output that would leave the package', async () => {
    const source = await commitOf(files);
    const store = createMemoryFileStore();
    for (const path of ['../x', '/etc/x', 'a//b', 'a/./b'])
      await expect(make(source, { store, outputs: [{ path, file: store.putBytes('x') }] })).rejects.toMatchObject({
        code: 'PACKAGE_OUTPUT_PATH',
      });
  });

  it('gives the script of the repository no way to a file outside', async () => {
    const outside = await newFolder();
    const source = await commitOf({
      ...files,
      'script/package': script(
        `rm -rf "$PIPIT_PACKAGE_ROOT/DEBIAN"; ln -s ${outside} "$PIPIT_PACKAGE_ROOT/lib"; rm -rf ../package.deb; ln -s ${outside}/stolen ../package.deb`,
      ),
    });
    const { readdir } = await import('node:fs/promises');
    await make(source, { metadata: { ...metadata, configFiles: [] } }).catch(() => undefined);
    expect(await readdir(outside)).toEqual([]);
  });
});

describe('the control file', () => {
  it('has one field for each value, whatever the description says', async () => {
    const source = await commitOf(files);
    const fields = controlFields({
      app: 'web' as AppName, // a constant that the parser accepts
      version: packageVersion(source.commit),
      architecture: 'all',
      metadata: { description: '\nfirst\rEssential: yes\r\nPre-Depends: evil\n\n.\n\tindented\n\n', depends: [] },
      maintainer: 'Ada <ada@example.org>',
      commit: source.commit.sha,
    });
    const text = renderControl(fields);
    expect(text.split('\n').filter((line) => /^(Essential|Pre-Depends)/.test(line))).toEqual([]);
    expect(parseControl(text)).toEqual(fields);
    expect(fields.find(([name]) => name === 'Description')?.[1]).toMatch(/^first\n Essential: yes\n Pre-Depends: evil\n \.\n/);
  });

  it('refuses what would begin another field', async () => {
    const source = await commitOf(files);
    const base = {
      app: 'web' as AppName,
      version: packageVersion(source.commit),
      architecture: 'all',
      maintainer: 'A <a@b>',
      commit: source.commit.sha,
    };
    const of = (overrides: object) => () => controlFields({ ...base, metadata: { description: 'x', depends: [] }, ...overrides });
    for (const bad of ['a\nb: c', 'a\rb', 'a\u2028b', 'a\u0000'])
      expect(of({ maintainer: bad })).toThrow(expect.objectContaining({ code: 'LOCAL_PACKAGE_FIELD_INVALID' }));
  });
});
