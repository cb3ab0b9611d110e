import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePackageName } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeployerWorld, hostNamed, only, openDeployer } from './deployer-world.js';
import { addSource, buildDeb, buildDebBytes, type DebRequest, installedVersion, ringOf } from './hosts-support.js';

const host = hostNamed('foreign1', 51);
const hosts = [host];

let world: DeployerWorld;
let root: string;
beforeEach(async () => {
  world = await openDeployer();
  root = world.rootOf(host);
  // The host's first install, of an app that nothing is the matter with.
  await world.rollOut(await buildDeb({ name: 'api', version: '1.0' }), { hosts, ring: ringOf('canary', 'api') });
});
afterEach(() => world.close());

const dpkg = async (...argv: readonly string[]): Promise<void> => {
  const command = ['dpkg', `--root=${root}`, '--force-not-root', '--force-script-chrootless', '--force-depends', ...argv];
  const result = await runCommand(command, { cwd: '/', env: minimalEnvironment('/') });
  if (result.exitCode !== 0) throw new Error(result.stderr);
};

/** As the host's owner installs it. */
const installByHand = async (deb: DebRequest & { readonly name: string }): Promise<void> => {
  const path = join(world.folder, `${deb.name}.deb`);
  await writeFile(path, await buildDebBytes(deb));
  await dpkg('--install', path);
};

const rollOut = async (deb: DebRequest, takeOver = false) =>
  only(await world.rollOut(await buildDeb(deb), { hosts, ...(takeOver ? { takeOver } : {}) }));

describe("a package of the name of an app that is not pipit's", () => {
  it('is not replaced, and is reported as what it is, with its epoch; the config may let the app take it over', async () => {
    await installByHand({ name: 'web', version: '1:2.3-1' });
    const foreign = { name: 'web', version: '1:2.3-1' };
    const refused = await rollOut({ version: '1.0' });
    expect(refused).toMatchObject({
      reachable: true,
      foreign,
      error: { code: 'HOST_PACKAGE_FOREIGN', hint: expect.stringContaining('takeOver') },
    });
    expect(refused.error?.message).toBe(
      "web 1:2.3-1 stands on this host and is not pipit's (it is maintained by pipit <pipit@example.org>). Nothing was installed",
    );
    expect(refused.installed).toBeUndefined();
    const observed = only(await world.observe(hosts, undefined, [parsePackageName('web')]));
    expect(observed).toEqual({ hostId: host.id, reachable: true, foreign });
    expect(await installedVersion(root)).toBe('installed 1:2.3-1');
    const taken = await rollOut({ version: '1.1' }, true);
    expect(taken.installed?.version).toBe('1.1');
    expect(taken.foreign).toBeUndefined();
    // From then on it is the app's.
    expect((await rollOut({ version: '1.2' })).installed?.version).toBe('1.2');
    // Removed by hand, the name may be another's again.
    await dpkg('--purge', 'web');
    await installByHand({ name: 'web', version: '3.0' });
    expect((await rollOut({ version: '1.3' })).error?.code).toBe('HOST_PACKAGE_FOREIGN');
    expect(await installedVersion(root)).toBe('installed 3.0');
  });

  it("counts as pipit's when it has the field that the packagers write", async () => {
    await installByHand({ name: 'web', version: '9.0', fields: ['X-Pipit-Commit: 0123456789abcdef0123456789abcdef01234567'] });
    expect((await rollOut({ version: '1.0' })).installed?.version).toBe('1.0');
  });

  it.each([
    ['is essential', [{ name: 'web', version: '1', fields: ['Essential: yes'] }]],
    ['is of a required priority', [{ name: 'web', version: '1', fields: ['Priority: required'] }]],
    [
      'is what an essential one needs',
      [
        { name: 'web', version: '1' },
        { name: 'libthing', version: '1', fields: ['Depends: other | web (>= 1)'] },
        { name: 'shell', version: '1', fields: ['Essential: yes', 'Pre-Depends: libthing (>= 1)'] },
      ],
    ],
  ])('is never taken over when it %s', async (_what, debs) => {
    for (const deb of debs) await installByHand(deb);
    const report = await rollOut({ version: '2.0' }, true);
    expect(report.error).toMatchObject({
      code: 'HOST_PACKAGE_ESSENTIAL',
      message: expect.stringContaining('web is a package that this host cannot do without'),
    });
    expect(await installedVersion(root)).toBe('installed 1');
  });

  it("is never taken over when the host's sources call it essential, also where it is not installed", async () => {
    await addSource(root, [{ name: 'web', version: '1', fields: ['Priority: important'] }]);
    expect((await rollOut({ version: '2.0' }, true)).error?.code).toBe('HOST_PACKAGE_ESSENTIAL');
    expect(await installedVersion(root)).toBe('');
  });
});

describe('a package of an app', () => {
  it.each(['Provides: thing (= 9)', 'Replaces: thing', 'Breaks: other, thing (<< 9)', 'Conflicts: other,\n thing'])(
    'does not get at another by "%s"',
    async (field) => {
      await installByHand({ name: 'thing', version: '1' });
      expect((await rollOut({ version: '1.0', fields: [field] })).error).toMatchObject({
        code: 'HOST_PACKAGE_FOREIGN',
        message: expect.stringContaining('web 1.0 provides, replaces or excludes thing, which stands on this host'),
      });
      expect(await installedVersion(root, 'thing')).toBe('installed 1');
      expect(await installedVersion(root)).toBe('');
    },
  );

  it('is not essential, and overwrites no file of another, whatever it says', async () => {
    expect((await rollOut({ version: '1.0', fields: ['Essential: yes'] })).error?.code).toBe('HOST_PACKAGE_ESSENTIAL');
    const clash = await rollOut({ version: '2.0', files: { '/opt/api/version': 'web was here' } }, true);
    expect(clash.error).toMatchObject({
      code: 'HOST_INSTALL_FAILED',
      message: expect.stringContaining("trying to overwrite '/opt/api/version', which is also in package api 1.0"),
    });
    expect(await readFile(join(root, 'opt/api/version'), 'utf8')).toBe('1.0\n');
  });
});
