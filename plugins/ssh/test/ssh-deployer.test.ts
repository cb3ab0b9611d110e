import { readFile } from 'node:fs/promises';
import type { HostReport } from '@pipit/core';
import { hostTryId } from '@pipit/plugin-kit';
import { type LabHost, labUnavailable } from 'pipit-lab';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { until } from './instances.js';
import { FIRST_LAB_MS, HEALTH_PORT, type LabWorld, openLabWorld, opFor, servedWith, serviceFiles, untilEnded, web } from './lab-world.js';

/** Holds dpkg's lock as another package manager does, until it is told. */
const LOCKER = `use Fcntl qw(:DEFAULT :flock); unlink '/run/unlock';
open my $file, '+<', '/var/lib/dpkg/lock-frontend' or die;
my $lock = pack('s s x![l!] l! l! i x![l!]', F_WRLCK, 0, 0, 0, 0); fcntl($file, F_SETLK, $lock) or die;
open my $said, '>', '/run/locked'; close $said;
select undef, undef, undef, 0.1 until -e '/run/unlock'; unlink '/run/locked', '/run/unlock';`;

/** A cut host shows itself differently to each. */
const CLIENTS = ['openssh', 'ssh2'];

const unavailable = await labUnavailable();
let world: LabWorld;

const isInstalled = async (host: LabHost): Promise<boolean> =>
  (await host.exec(['dpkg-query', '-W', ['-f=$', '{db:Status-Status}'].join(''), 'web'])).stdout === 'installed';

const only = (reports: readonly HostReport[]): HostReport => {
  const [report] = reports;
  if (report === undefined || reports.length !== 1) throw new Error(`${reports.length} reports`);
  return report;
};

describe('a rollout over ssh', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    if (unavailable === undefined)
      world = await openLabWorld([{ name: 'web1' }, { name: 'web2' }, { name: 'small', diskBytes: 48 * 1024 * 1024 }]);
  }, FIRST_LAB_MS);
  afterAll(() => world?.close(), 60_000);
  beforeEach(async ({ skip }) => {
    skip(unavailable !== undefined, unavailable);
    await Promise.all(world.lab.hosts.map((host) => world.clean(host)));
  });

  it('installs the exact version, restarts its service, checks it, and keeps a receipt', async () => {
    const one = await world.shelf.build({ version: '1.0-20260101000000.abcdef0', files: serviceFiles('1.0') });
    const source = await world.shelf.put('one', [one]);
    const hosts = [world.host('web1'), world.host('web2')];
    const reports = await world.rollOut(world.request(one, 1, source, { hosts, ...servedWith(20_000) }), 'op:1');
    const installed = { version: one.artifact.version, digest: one.artifact.digest, sequence: 1 };
    expect(reports).toEqual(hosts.map(({ id }) => ({ hostId: id, reachable: true, installed, healthy: true })));
    expect(only(await world.observe([world.host('web1')], servedWith(1).check))).toEqual({
      hostId: 'web1',
      reachable: true,
      installed,
      healthy: true,
    });
    // Whatever the sources offer, apt leaves the version alone.
    const two = await world.shelf.build({ version: '2.0' });
    await world.shelf.put('one', [one, two]);
    const upgrade = await world.lab.host('web1').exec(['sh', '-c', 'apt-get -qq update && apt-get -y upgrade && dpkg-query -W web']);
    expect(upgrade.stdout).toContain(one.artifact.version);
    expect((await world.observe([world.host('web1')]))[0]?.installed).toEqual(installed);
    expect(
      (await world.lab.host('web1').exec(['sh', '-c', 'ls /var/lib/pipit/web /var/lib/pipit/web/outcomes | grep -E "work|\\.sh$|\\.new"']))
        .stdout,
    ).toBe('');
  });

  it('goes on without pipit, and ends in a fresh instance', async () => {
    const slow = await world.shelf.build({ version: '1.0', postInstall: '#!/bin/sh\nsleep 3\n' });
    const request = world.request(slow, 1, await world.shelf.put('slow', [slow]), { hosts: [world.host('web1')] });
    const first = await world.open();
    const before = Date.now();
    const handle = await first.deployer.start(request, opFor('slow'));
    await first.close();
    await until('the package is installed', async () => {
      return (await isInstalled(world.lab.host('web1'))) ? true : undefined;
    });
    expect(Date.now() - before).toBeGreaterThan(2_000);
    const second = await world.open();
    try {
      expect(only(await untilEnded(second.deployer, handle, request, 'slow')).installed?.version).toBe('1.0');
    } finally {
      await second.close();
    }
  });

  it('upgrades, downgrades, and refuses a sequence that is older', async () => {
    const [one, two] = [await world.shelf.build({ version: '1.0' }), await world.shelf.build({ version: '2.0' })];
    const source = await world.shelf.put('both', [one, two]);
    const hosts = [world.host('web1')];
    expect(only(await world.rollOut(world.request(two, 5, source, { hosts }), 'k1')).installed?.version).toBe('2.0');
    expect(only(await world.rollOut(world.request(one, 6, source, { hosts }), 'k2')).installed).toEqual({
      version: '1.0',
      digest: one.artifact.digest,
      sequence: 6,
    });
    const refused = only(await world.rollOut(world.request(two, 5, source, { hosts }), 'k3'));
    expect(refused).toMatchObject({ error: { code: 'HOST_SEQUENCE_OLDER' }, installed: { version: '1.0', sequence: 6 } });
  });

  it('installs on the others when a host is down, and on it when it came back', async () => {
    const one = await world.shelf.build({ version: '1.0' });
    const request = world.request(one, 1, await world.shelf.put('down', [one]), { hosts: [world.host('web1'), world.host('web2')] });
    await world.lab.host('web1').cut();
    try {
      const reports = await world.rollOut(request, 'down');
      expect(reports[0]).toMatchObject({
        hostId: 'web1',
        reachable: false,
        error: { code: 'SSH_UNREACHABLE', hint: expect.stringMatching(/\S/) },
      });
      expect(reports[1]).toMatchObject({ reachable: true, installed: { version: '1.0' } });
      expect((await world.observe(request.hosts)).map(({ reachable }) => reachable)).toEqual([false, true]);
    } finally {
      await world.lab.host('web1').heal();
    }
    expect((await world.rollOut({ ...request, sequence: 2 }, 'converge')).map(({ installed }) => installed?.sequence)).toEqual([2, 2]);
  });

  it.for(CLIENTS)('asks a host again that was cut off during its install, which goes on there (%s)', async (client) => {
    const slow = await world.shelf.build({ version: '1.0', postInstall: '#!/bin/sh\ntouch /run/in-post-inst\nsleep 4\n' });
    const request = world.request(slow, 1, await world.shelf.put('cut', [slow]), { hosts: [world.host('web1')] });
    const host = world.lab.host('web1');
    await host.exec(['rm', '-f', '/run/in-post-inst']);
    const instance = await world.open({ client });
    try {
      const handle = await instance.deployer.start(request, opFor(`cut ${client}`));
      await until('the post-install script', async () =>
        (await host.exec(['test', '-e', '/run/in-post-inst'])).exitCode === 0 ? true : undefined,
      );
      await host.cut();
      const ending = untilEnded(instance.deployer, handle, request, `cut ${client}`);
      await until('the package is installed', async () => ((await isInstalled(host)) ? true : undefined));
      await host.heal();
      expect(only(await ending)).toMatchObject({ reachable: true, installed: { version: '1.0', sequence: 1 } });
    } finally {
      await host.heal();
      await instance.close();
    }
  });

  it.for(CLIENTS)('gives up a host that stays cut off, with what to do, the same each time (%s)', async (client) => {
    const slow = await world.shelf.build({ version: '1.0', postInstall: '#!/bin/sh\nsleep 2\n' });
    const request = world.request(slow, 1, await world.shelf.put('gone', [slow]), { hosts: [world.host('web1'), world.host('web2')] });
    const host = world.lab.host('web1');
    const instance = await world.open({ client, cutOffAfter: '2s' });
    try {
      let handle = await instance.deployer.start(request, opFor(`gone ${client}`));
      await host.cut();
      const reports = await until(
        'the end',
        async () => {
          const state = await instance.deployer.inspect({ handle, request }, opFor(`gone ${client}`));
          if (state.state === 'ended') return state.result;
          handle = state.state === 'running' ? (state.handle ?? handle) : handle;
          return undefined;
        },
        90_000,
      );
      expect(reports[0]).toMatchObject({
        hostId: 'web1',
        reachable: false,
        error: { code: 'HOST_CUT_OFF', hint: expect.stringContaining('converges') },
      });
      expect(reports[1]).toMatchObject({ installed: { version: '1.0' } });
      await host.heal();
      expect(await untilEnded(instance.deployer, handle, request, `gone ${client}`)).toEqual(reports);
    } finally {
      await host.heal();
      await instance.close();
    }
  });

  it.each(['the process group of the install', 'the whole host'])('finishes an install that was killed: %s', async (what) => {
    const slow = await world.shelf.build({
      version: '1.0',
      postInstall: '#!/bin/sh\n[ -e /root/again ] && exit 0\ntouch /root/again; sync\nsleep 100\n',
    });
    const request = world.request(slow, 1, await world.shelf.put('killed', [slow]), { hosts: [world.host('web1')] });
    const host = world.lab.host('web1');
    await host.exec(['rm', '-f', '/root/again']);
    const instance = await world.open();
    try {
      const handle = await instance.deployer.start(request, opFor('killed'));
      await until('the post-install script', async () =>
        (await host.exec(['test', '-e', '/root/again'])).exitCode === 0 ? true : undefined,
      );
      if (what === 'the whole host') {
        await host.kill();
        await host.start();
      } else await host.exec(['sh', '-c', 'systemctl kill --signal=KILL "pipit-*"']);
      expect(only(await untilEnded(instance.deployer, handle, request, 'killed'))).toMatchObject({
        reachable: true,
        installed: { version: '1.0', sequence: 1 },
      });
      expect((await host.exec(['dpkg', '--audit'])).stdout).toBe('');
    } finally {
      await instance.close();
    }
  });

  it('leaves a package on hold alone, visibly', async () => {
    const [one, two] = [await world.shelf.build({ version: '1.0' }), await world.shelf.build({ version: '2.0' })];
    const source = await world.shelf.put('hold', [one, two]);
    const hosts = [world.host('web1')];
    await world.rollOut(world.request(one, 1, source, { hosts }), 'h1');
    await world.lab.host('web1').exec(['apt-mark', 'hold', 'web']);
    const held = only(await world.rollOut(world.request(two, 2, source, { hosts }), 'h2'));
    expect(held).toMatchObject({
      error: { code: 'HOST_PACKAGE_HELD', hint: expect.stringContaining('apt-mark unhold') },
      installed: { version: '1.0' },
    });
    const seen = only(await world.observe(hosts));
    expect(seen.raw).toContain('on hold');
    expect(seen.error).toBeUndefined();
  });

  it("does not finish what somebody else's dpkg began, and says so", async () => {
    const one = await world.shelf.build({ version: '1.0' });
    const broken = await world.shelf.build({ name: 'other', version: '1', postInstall: '#!/bin/sh\nexit 3\n' });
    const host = world.lab.host('web1');
    await host.exec(['sh', '-c', 'cat >/root/other.deb'], { input: await readFile(broken.path) });
    await host.exec(['dpkg', '--install', '/root/other.deb']);
    try {
      const hosts = [world.host('web1')];
      const report = only(await world.rollOut(world.request(one, 1, await world.shelf.put('foreign', [one]), { hosts }), 'foreign'));
      expect(report).toMatchObject({
        error: {
          code: 'HOST_PACKAGE_MANAGER_INTERRUPTED',
          message: expect.stringContaining('other'),
          hint: expect.stringContaining('dpkg --configure -a'),
        },
      });
      expect(report.installed).toBeUndefined();
      expect(only(await world.observe(hosts)).raw).toContain('other');
    } finally {
      await host.exec(['dpkg', '--purge', '--force-all', 'other']);
    }
  });

  it('waits for the lock of another package manager, and says who is at work', async () => {
    const one = await world.shelf.build({ version: '1.0' });
    const host = world.lab.host('web1');
    const holder = host.exec(['perl', '-e', LOCKER]);
    onTestFinished(async () => void (await host.exec(['touch', '/run/unlock'])));
    await until('the lock is held', async () => ((await host.exec(['test', '-e', '/run/locked'])).exitCode === 0 ? true : undefined));
    const hosts = [world.host('web1')];
    const request = world.request(one, 1, await world.shelf.put('lock', [one]), { hosts });
    const rolling = world.rollOut(request, 'lock');
    expect(only(await world.observe(hosts)).busy).toBe(true);
    await host.exec(['touch', '/run/unlock']);
    expect(only(await rolling).installed?.version).toBe('1.0');
    await holder;
  });

  it('names both digests when the repository gives other bytes under the same version, and installs nothing', async () => {
    const good = await world.shelf.build({ version: '1.0' });
    const evil = await world.shelf.build({ version: '1.0', files: { '/opt/web/version': 'evil' } });
    const source = await world.shelf.put('evil', [evil]);
    const report = only(await world.rollOut(world.request(good, 1, source, { hosts: [world.host('web1')] }), 'evil'));
    expect(report.error?.code).toBe('HOST_DIGEST_MISMATCH');
    for (const { artifact } of [good, evil]) expect(report.error?.message).toContain(artifact.digest);
    expect(report.installed).toBeUndefined();
  });

  it('installs nothing from a repository whose signature is broken, also where it was good before', async () => {
    const [one, two] = [await world.shelf.build({ version: '1.0' }), await world.shelf.build({ version: '2.0' })];
    const hosts = [world.host('web1')];
    await world.rollOut(world.request(one, 1, await world.shelf.put('broken', [one]), { hosts }), 'good');
    const source = await world.shelf.put('broken', [one, two]);
    await world.shelf.breakSignature('broken');
    // With an index of before, apt-get update ends well by default.
    const report = only(await world.rollOut(world.request(two, 2, source, { hosts }), 'broken'));
    expect(report).toMatchObject({
      reachable: true,
      error: { code: 'HOST_UPDATE_FAILED', hint: expect.stringContaining('signed') },
      installed: { version: '1.0' },
    });
  });

  it('reports a service that does not start, and one that never gets healthy, with their last words', async () => {
    const dies = await world.shelf.build({
      version: '1.0',
      files: serviceFiles('1.0', '/bin/sh -c "echo cannot connect to the database; exit 1"'),
    });
    const sick = await world.shelf.build({ version: '1.1', files: serviceFiles('1.1') });
    const source = await world.shelf.put('services', [dies, sick]);
    const hosts = [world.host('web1')];
    const died = only(await world.rollOut(world.request(dies, 1, source, { hosts, services: web }), 'dies'));
    expect(died).toMatchObject({
      error: { code: 'HOST_SERVICE_NOT_RESTARTED', hint: expect.stringContaining('systemctl status') },
      installed: { version: '1.0' },
    });
    expect(died.raw).toContain('cannot connect to the database');
    const checked = only(await world.rollOut(world.request(dies, 2, source, { hosts, ...servedWith(1_000) }), 'checked'));
    expect(checked).toMatchObject({ healthy: false, error: { code: 'HOST_UNHEALTHY', message: expect.stringContaining('web is ') } });
    expect(checked.raw).toContain('cannot connect to the database');
    const check = { type: 'http', port: HEALTH_PORT, path: '/broken', withinMs: 2_000 } as const;
    const ill = only(await world.rollOut(world.request(sick, 3, source, { hosts, services: web, check }), 'sick'));
    expect(ill).toMatchObject({
      healthy: false,
      error: { code: 'HOST_UNHEALTHY', message: expect.stringContaining('answered 503') },
      installed: { version: '1.1', sequence: 3 },
    });
  });

  it.each([
    { type: 'tcp', port: HEALTH_PORT, withinMs: 15_000 },
    { type: 'command', argv: ['/bin/sh', '-c', 'test "$(cat /opt/web/version)" = "$1"', 'sh', '1.0'], withinMs: 15_000 },
  ] as const)('checks health by $type', async (check) => {
    const one = await world.shelf.build({ version: '1.0', files: serviceFiles('1.0') });
    const source = await world.shelf.put('checks', [one]);
    const hosts = [world.host('web1')];
    expect(only(await world.rollOut(world.request(one, 1, source, { hosts, services: web, check }), 'check'))).toMatchObject({
      healthy: true,
    });
    const { lab } = world;
    await lab.host('web1').exec(['sh', '-c', 'systemctl stop web; echo other > /opt/web/version']);
    expect(only(await world.observe(hosts, check))).toMatchObject({ healthy: false, error: { code: 'HOST_UNHEALTHY' } });
  });

  it('refuses a host whose clock is wrong', async () => {
    const one = await world.shelf.build({ version: '1.0' });
    const request = world.request(one, 1, await world.shelf.put('clock', [one]), { hosts: [world.host('web1')] });
    const instance = await world.open();
    try {
      const late = {
        ...opFor('clock'),
        clock: { now: () => new Date(Date.now() - 3_600_000) },
        deadline: new Date(Date.now() - 3_540_000),
      };
      const handle = await instance.deployer.start(request, late);
      expect(only(await untilEnded(instance.deployer, handle, request, 'clock'))).toMatchObject({ error: { code: 'HOST_CLOCK_WRONG' } });
    } finally {
      await instance.close();
    }
  });

  it('does not speak with a host that shows another key, and says what to do', async () => {
    const one = await world.shelf.build({ version: '1.0' });
    const [first = '', second = ''] = world.lab.knownHosts;
    const knownHosts = `${first}\n${first.split(' ')[0] === undefined ? '' : second.split(' ')[0]} ${first.split(' ').slice(1).join(' ')}`;
    const request = world.request(one, 1, await world.shelf.put('key', [one]), { hosts: [world.host('web1'), world.host('web2')] });
    const reports = await world.rollOut(request, 'key', { knownHosts });
    expect(reports[0]).toMatchObject({ reachable: true, installed: { version: '1.0' } });
    expect(reports[1]).toMatchObject({
      reachable: false,
      error: { code: 'SSH_HOST_KEY_CHANGED', hint: expect.stringContaining('known_hosts') },
    });
  });

  it('works by sudo, and says what is missing without it', async () => {
    const one = await world.shelf.build({ version: '1.0' });
    const request = world.request(one, 1, await world.shelf.put('sudo', [one]), { hosts: [world.host('web1')] });
    expect(only(await world.rollOut(request, 'sudo', { user: 'deploy', sudo: true })).installed?.version).toBe('1.0');
    const refused = only(await world.rollOut({ ...request, sequence: 2 }, 'nosudo', { user: 'deploy' }));
    expect(refused).toMatchObject({ reachable: true, error: { code: 'SSH_ROOT_REFUSED', hint: expect.stringContaining('sudo: true') } });
  });

  it('says so when the systemd of a host does not start the install, and leaves nothing of it there', async () => {
    const deb = await world.shelf.build({ version: '1.0' });
    const request = world.request(deb, 1, await world.shelf.put('refused', [deb]), { hosts: [world.host('web1')] });
    const host = world.lab.host('web1');
    const unit = `pipit-${hostTryId('refused')}-1`;
    await host.exec(['systemd-run', '--quiet', `--unit=${unit}`, 'sleep', 'infinity']);
    try {
      expect(only(await world.rollOut(request, 'refused'))).toMatchObject({
        reachable: true,
        error: { code: 'HOST_LAUNCH_REFUSED', hint: expect.stringContaining('systemctl') },
      });
      expect((await host.exec(['sh', '-c', 'ls /var/lib/pipit/*/outcomes'])).stdout).toBe(`${hostTryId('refused')}.run\n`);
    } finally {
      await host.exec(['systemctl', 'stop', unit]);
    }
    expect(only(await world.rollOut({ ...request, sequence: 2 }, 'granted')).installed).toMatchObject({ version: '1.0', sequence: 2 });
  });

  it('keeps what a host runs when its disk has no room, before or in the middle of an install', async () => {
    const host = world.lab.host('small');
    const hosts = [world.host('small')];
    const one = await world.shelf.build({ version: '1.0' });
    // More than there is when packed, and only when unpacked.
    const [big, swells] = [
      await world.shelf.build({ version: '2.0', paddingBytes: 40e6, padding: 'noise' }),
      await world.shelf.build({ version: '3.0', paddingBytes: 60e6, padding: 'zeros' }),
    ];
    const source = await world.shelf.put('disk', [one, big, swells]);
    expect(only(await world.rollOut(world.request(one, 1, source, { hosts }), 'd1')).installed?.version).toBe('1.0');
    for (const [index, deb] of [big, swells].entries()) {
      const report = only(await world.rollOut(world.request(deb, 2 + index, source, { hosts }), `full-${index}`));
      expect(report).toMatchObject({
        error: { code: 'HOST_DISK_FULL', hint: expect.stringContaining('apt-get clean') },
        installed: { version: '1.0' },
      });
    }
    await host.exec(['sh', '-c', 'dd if=/dev/zero of=/var/filler bs=64k 2>/dev/null; true']);
    const full = only(await world.rollOut(world.request(one, 4, source, { hosts }), 'd4'));
    expect(full).toMatchObject({ reachable: true, error: { code: 'HOST_DISK_FULL', hint: expect.stringContaining('apt-get clean') } });
    await host.exec(['rm', '/var/filler']);
    expect(only(await world.rollOut(world.request(one, 5, source, { hosts }), 'd5')).installed).toMatchObject({
      version: '1.0',
      sequence: 5,
    });
    expect((await host.exec(['dpkg', '--audit'])).stdout).toBe('');
  });

  it('starts in a session of its own where no systemd runs', async () => {
    const one = await world.shelf.build({ version: '1.0' });
    const request = world.request(one, 1, await world.shelf.put('plain', [one]), { hosts: [world.host('web1')] });
    const host = world.lab.host('web1');
    await host.exec(['mv', '/run/systemd/system', '/run/systemd/system.away']);
    try {
      expect(only(await world.rollOut(request, 'plain')).installed).toMatchObject({ version: '1.0', sequence: 1 });
    } finally {
      await host.exec(['mv', '/run/systemd/system.away', '/run/systemd/system']);
    }
  });
});
