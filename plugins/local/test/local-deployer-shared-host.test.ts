import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type DeployerWorld, hostNamed, only, openDeployer } from './deployer-world.js';
import { addSource, buildDeb, installedVersion, ringOf, until } from './hosts-support.js';

const host = hostNamed('shared1', 41);
const hosts = [host];
const api = { hosts, ring: ringOf('canary', 'api') };

let world: DeployerWorld;
let root: string;
afterEach(() => world.close());

const open = async (options: Parameters<typeof openDeployer>[0] = {}): Promise<void> => {
  world = await openDeployer(options);
  root = world.rootOf(host);
};

const debOf = (name: string, version: string, postInstall?: string) =>
  buildDeb({ name, version, ...(postInstall === undefined ? {} : { postInstall: `#!/bin/sh\n${postInstall}\n` }) });

/** As a crash leaves it; its post-install script then says that it ran, and fails. */
const breakPackage = async (name: string, status: string, field = ''): Promise<void> => {
  const file = join(root, 'var/lib/dpkg/status');
  const text = await readFile(file, 'utf8');
  const broken = new RegExp(`(Package: ${name}\\n(?:.+\\n)*?)Status: .*\\n`);
  expect(text).toMatch(broken);
  await writeFile(file, text.replace(/^Triggers-.*\n/m, '').replace(broken, `$1Status: install ${status}\n${field}`));
  await writeFile(join(root, 'var/lib/dpkg/info', `${name}.postinst`), `#!/bin/sh\necho ran >> ${root}/opt/${name}-ran\nexit 1\n`, {
    mode: 0o755,
  });
};

describe('beside the package of another app', () => {
  it('that dpkg has left half-way, in every state, an app is delivered and goes back; that app repairs it', async () => {
    await open();
    await world.rollOut(await debOf('api', '1.0'), api);
    const states = [
      ['reinstreq half-installed'],
      ['ok half-installed'],
      ['ok unpacked'],
      ['reinstreq unpacked'],
      ['ok half-configured'],
      ['ok triggers-pending', 'Triggers-Pending: something\n'],
      ['ok triggers-awaited', 'Triggers-Awaited: web\n'],
    ] as const;
    const [one, two] = [await debOf('web', '1.0'), await debOf('web', '2.0')];
    for (const [index, [status, field]] of states.entries()) {
      await breakPackage('api', status, field);
      const report = only(await world.rollOut(index % 2 === 0 ? two : one, { hosts }));
      expect(report, status).toMatchObject({ installed: { version: index % 2 === 0 ? '2.0' : '1.0' } });
      expect(report.error, status).toBeUndefined();
      if (!status.endsWith('awaited'))
        expect(await readFile(join(root, 'var/lib/dpkg/status'), 'utf8')).toContain(`Status: install ${status}\n`);
    }
    // Also with a journal that a killed dpkg left.
    await breakPackage('api', 'reinstreq half-configured');
    const status = await readFile(join(root, 'var/lib/dpkg/status'), 'utf8');
    await writeFile(join(root, 'var/lib/dpkg/updates/0000'), /Package: web\n(?:.+\n)*/.exec(status)?.[0] ?? '');
    expect(only(await world.rollOut(one, { hosts })).error).toBeUndefined();
    expect((await readdir(join(root, 'var/lib/dpkg/updates'))).filter((name) => /^\d+$/.test(name))).toEqual([]);
    expect(only(await world.rollOut(await debOf('api', '1.1'), api))).toMatchObject({ installed: { version: '1.1' } });
    expect(await installedVersion(root, 'api')).toBe('installed 1.1');
    expect(existsSync(join(root, 'opt/api-ran'))).toBe(false);
  }, 90_000);

  it('whose post-install script hangs and refuses to end, an app waits, is delivered, and names who is at work', async () => {
    await open({ installLimitMs: 6_000, lockWaitSeconds: 1 });
    const good = await debOf('api', '1.0');
    await world.rollOut(good, api);
    const pids = join(root, 'opt/pids');
    const stubborn = `trap '' TERM INT HUP\nsh -c 'trap "" TERM; echo $$ >> ${pids}; while :; do sleep 1; done' &\necho $$ >> ${pids}\nwhile :; do sleep 1; done`;
    const failing = world.rollOut(await debOf('api', '2.0', stubborn), api);
    await until('the script hangs', async () => ((await readFile(pids, 'utf8').catch(() => '')).split('\n').length > 2 ? true : undefined));
    const busy = only(await world.rollOut(await debOf('web', '1.0'), { hosts }));
    expect(busy.error).toMatchObject({ code: 'HOST_BUSY', message: expect.stringContaining('(api 2.0 of app api, since ') });
    const failed = only(await failing);
    expect(failed.error).toMatchObject({
      code: 'HOST_INSTALL_TIMED_OUT',
      message: expect.stringContaining('api 2.0 was not installed within 6 s'),
    });
    for (const pid of (await readFile(pids, 'utf8')).trim().split('\n'))
      await until(`${pid} is gone`, () => (existsSync(`/proc/${pid}`) ? undefined : true));
    expect(await installedVersion(root, 'api')).toBe('half-configured 2.0');
    expect(only(await world.rollOut(await debOf('web', '2.0'), { hosts }))).toMatchObject({ installed: { version: '2.0' } });
    // The way back does not run the script of the release that it leaves.
    expect(only(await world.rollOut(good, api))).toMatchObject({ installed: { version: '1.0' } });
    expect((await readFile(pids, 'utf8')).trim().split('\n')).toHaveLength(2);
  }, 60_000);

  it('that it needs, an app has that one configured and no other, or says whose fault it is', async () => {
    await open();
    for (const [name, ring] of [
      ['api', 'api'],
      ['jobs', 'jobs'],
    ] as const)
      await world.rollOut(await debOf(name, '1.0'), { hosts, ring: ringOf('canary', ring) });
    await breakPackage('jobs', 'ok half-configured');
    await breakPackage('api', 'ok unpacked');
    const needy = (version: string) => buildDeb({ version, depends: 'api' });
    const failed = only(await world.rollOut(await needy('1.0'), { hosts }));
    expect(failed.error).toMatchObject({
      code: 'HOST_INSTALL_FAILED',
      message: expect.stringContaining('installed api package post-installation script'),
    });
    expect(failed.raw).toContain('web needs api (app api), which is configured now');
    await writeFile(join(root, 'var/lib/dpkg/info/api.postinst'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
    expect(only(await world.rollOut(await needy('1.1'), { hosts }))).toMatchObject({ installed: { version: '1.1' } });
    expect(await installedVersion(root, 'api')).toBe('installed 1.0');
    expect(await installedVersion(root, 'jobs')).toBe('half-configured 1.0');
    expect(existsSync(join(root, 'opt/jobs-ran'))).toBe(false);
  }, 60_000);

  it('that cannot be removed, replaced or changed for an app', async () => {
    await open();
    await world.rollOut(await debOf('api', '1.0'), api);
    await addSource(root, [
      { name: 'rival', version: '1', fields: ['Conflicts: api'] },
      { name: 'helper', version: '1' },
      { name: 'api', version: '9.0' },
    ]);
    const displaced = only(await world.rollOut(await buildDeb({ version: '1.0', depends: 'rival' }), { hosts }));
    expect(displaced.error).toMatchObject({
      code: 'HOST_PACKAGE_DISPLACES',
      message: expect.stringMatching(/removed from this host: api$/),
    });
    const changed = only(await world.rollOut(await buildDeb({ version: '2.0', depends: 'api (>= 2)' }), { hosts }));
    expect(changed.error).toMatchObject({
      code: 'HOST_PACKAGE_DISPLACES',
      message: expect.stringContaining("another app's package changes on this host: api (app api) to 9.0"),
    });
    expect(await installedVersion(root, 'api')).toBe('installed 1.0');
    // What is not there yet may come, also while another app's package is half-way.
    await breakPackage('api', 'reinstreq half-installed');
    expect(only(await world.rollOut(await buildDeb({ version: '3.0', depends: 'helper' }), { hosts }))).toMatchObject({
      installed: { version: '3.0' },
    });
    expect(await installedVersion(root, 'helper')).toBe('installed 1');
    expect(existsSync(join(root, 'opt/api-ran'))).toBe(false);
  }, 60_000);
});
