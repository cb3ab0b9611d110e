import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePackageName, parseUnitName } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { afterEach, describe, expect, it } from 'vitest';
import { MAX_SERVICE_LOG_BYTES } from '../src/service-supervisor-script.js';
import { type DeployerWorld, hostNamed, only, openDeployer, untilEnded } from './deployer-world.js';
import { buildDeb, until } from './hosts-support.js';
import { HEALTH_PORT, servedWith, serviceDeb, unitText } from './service-packages.js';

const web1 = hostNamed('web1', 31);
const web2 = hostNamed('web2', 32);
const served = servedWith(10_000);
const run = (argv: readonly string[]) => runCommand(argv, { cwd: '/', env: minimalEnvironment('/') });
const answerOf = async (host = web1): Promise<string> => (await fetch(`http://${host.address}:${HEALTH_PORT}/`)).text();

let world: DeployerWorld;
afterEach(() => world.close());

describe('a host that cannot install', () => {
  it('is reported as busy while another install holds its lock, and keeps what it has', async () => {
    world = await openDeployer({ lockWaitSeconds: 1 });
    await world.rollOut(await buildDeb({ version: '1.0' }), { hosts: [web1] });
    const holder = spawn('flock', [join(world.rootOf(web1), 'var/lib/pipit/lock'), 'sh', '-c', 'echo held; exec cat'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(holder.stdout, 'data');
    expect(only(await world.observe([web1]))).toMatchObject({ reachable: true, busy: true });
    const two = await buildDeb({ version: '2.0' });
    const report = only(await world.rollOut(two, { hosts: [web1] }));
    expect(report).toMatchObject({ reachable: true, busy: true, installed: { version: '1.0' }, error: { code: 'HOST_BUSY' } });
    const gone = once(holder, 'exit');
    holder.stdin.end();
    await gone;
    expect(only(await world.observe([web1])).busy).toBeUndefined();
    expect(only(await world.rollOut(two, { hosts: [web1] })).installed?.version).toBe('2.0');
  });

  it('is neither waited for nor broken by a pipe that a post-install script left in place of its lock', async () => {
    world = await openDeployer({ lockWaitSeconds: 5 });
    const lock = join(world.rootOf(web1), 'var/lib/pipit/lock');
    await world.rollOut(await buildDeb({ version: '1.0' }), { hosts: [web1] });
    await rm(lock);
    await run(['mkfifo', lock]);
    expect(only(await world.observe([web1]))).toMatchObject({ reachable: true });
    expect(only(await world.rollOut(await buildDeb({ version: '2.0' }), { hosts: [web1] })).installed?.version).toBe('2.0');
  });

  it('refuses a package for which its disk has no room, and keeps what it has', async ({ skip }) => {
    world = await openDeployer();
    const root = world.rootOf(web1);
    await mkdir(root, { recursive: true });
    skip(process.getuid?.() !== 0, 'only root can mount a small disk');
    const mounted = await run(['mount', '-t', 'tmpfs', '-o', 'size=64m', 'pipit-test', root]);
    skip(mounted.exitCode !== 0, `no small disk can be mounted here: ${mounted.stderr.trim()}`);
    try {
      await world.rollOut(await buildDeb({ version: '1.0' }), { hosts: [web1] });
      const { bavail, bsize } = await statfs(root);
      const filler = join(root, 'filler');
      await writeFile(filler, Buffer.alloc(bavail * bsize - 512 * 1024));
      const large = await buildDeb({ version: '2.0', files: { '/opt/web/data': randomBytes(400_000).toString('base64') } });
      const report = only(await world.rollOut(large, { hosts: [web1] }));
      expect(report).toMatchObject({ reachable: true, installed: { version: '1.0' }, error: { code: 'HOST_DISK_FULL' } });
      expect(report.error?.message).toMatch(/^\d+ KiB are free on this host; web needs \d+ KiB/);
      await rm(filler);
      expect(only(await world.rollOut(large, { hosts: [web1] })).installed?.version).toBe('2.0');
    } finally {
      await run(['umount', root]);
    }
  });

  it("reports the end of its install's log as short, plain text", async () => {
    world = await openDeployer();
    const noise = String.raw`#!/bin/sh
i=0; while [ $i -lt 3000 ]; do printf 'step %d\033[2K\r\007\n' $i; i=$((i + 1)); done
printf '\033[31mno such table: \033[1musers\033[0m\n' >&2
exit 7
`;
    const report = only(await world.rollOut(await buildDeb({ version: '1.0', postInstall: noise }), { hosts: [web1] }));
    const raw = report.raw ?? '';
    expect(report.error?.code).toBe('HOST_INSTALL_FAILED');
    expect(raw).toContain('\nno such table: users\n');
    expect(raw).toContain('step 2999');
    expect(Buffer.byteLength(raw)).toBeLessThanOrEqual(4096);
    expect(raw.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    // Whoever looks later sees it too.
    const observed = only(await world.observe([web1], undefined, [parsePackageName('web')]));
    expect(observed).toMatchObject({ error: { code: 'HOST_PACKAGE_BROKEN' }, raw: expect.stringContaining('no such table: users') });
  });

  it('reports the install log when a service has said nothing, or cannot be run', async () => {
    world = await openDeployer();
    const check = { type: 'command', argv: ['/bin/false'], withinMs: 1 } as const;
    const unhealthy = only(await world.rollOut(await buildDeb({ version: '1.0' }), { hosts: [web1], check }));
    expect(unhealthy).toMatchObject({ error: { code: 'HOST_UNHEALTHY' }, raw: expect.stringContaining('Setting up web (1.0)') });
    const services = [parseUnitName('web')];
    const unitless = only(await world.rollOut(await buildDeb({ version: '2.0' }), { hosts: [web1], services }));
    expect(unitless).toMatchObject({ error: { code: 'HOST_SERVICE_UNIT_MISSING' }, raw: expect.stringContaining('Setting up web (2.0)') });
  });
});

describe('the services of a host', () => {
  const startsOf = async (service: string): Promise<readonly string[]> => {
    const folder = join(world.folder, 'services/web1', service);
    return (await readdir(folder)).filter((name) => name.startsWith('start-')).map((name) => join(folder, name));
  };
  const pidIn = async (start: string, file: 'started' | 'child'): Promise<number> =>
    Number((await readFile(join(start, file), 'utf8')).split(' ')[0]);

  it('that an earlier release had and the new one has not are stopped', async () => {
    world = await openDeployer();
    const worker = { '/lib/systemd/system/worker.service': unitText('/bin/sleep 1000') };
    const services = [...served.services, parseUnitName('worker')];
    await world.rollOut(await serviceDeb('1.0', undefined, worker), { hosts: [web1], ...served, services });
    const [start = ''] = await startsOf('worker');
    const pid = await pidIn(start, 'child');
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    expect(only(await world.rollOut(await serviceDeb('2.0'), { hosts: [web1], ...served }))).toMatchObject({ healthy: true });
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(await startsOf('worker')).toEqual([]);
    expect(await answerOf()).toBe('2.0');
    await world.observe([web1]);
    expect(await startsOf('worker')).toEqual([]);
  });

  it('start also beside one of another app that is named like a lock', async () => {
    world = await openDeployer();
    const named = { '/lib/systemd/system/web.lock.service': unitText('/bin/sleep 1000') };
    const services = [parseUnitName('web.lock'), ...served.services];
    expect(only(await world.rollOut(await serviceDeb('1.0', undefined, named), { hosts: [web1], ...served, services }))).toMatchObject({
      healthy: true,
    });
    expect(await startsOf('web.lock')).toHaveLength(1);
  });

  it.each([
    ['a power cut', 'SIGKILL'],
    ['an orderly shutdown', 'SIGTERM'],
  ] as const)('are started again by the first look after %s', async (_what, signal) => {
    world = await openDeployer();
    await world.rollOut(await serviceDeb('1.0'), { hosts: [web1], ...served });
    const [start = ''] = await startsOf('web');
    const [runner, child] = [await pidIn(start, 'started'), await pidIn(start, 'child')];
    // A machine that goes down tells every process at once.
    for (const pid of [-runner, -child]) process.kill(pid, signal);
    await untilEnded(start);
    await until('nobody answers', () =>
      answerOf().then(
        () => undefined,
        () => true,
      ),
    );
    expect(only(await world.observe([web1], served.check))).toMatchObject({ reachable: true, healthy: true });
    expect(await answerOf()).toBe('1.0');
    expect(await startsOf('web')).toHaveLength(1);
  });

  it('are not started again when they ended as their unit allows', async () => {
    world = await openDeployer();
    const once = { '/lib/systemd/system/once.service': '[Service]\nExecStart=/bin/sh -c "echo done; exit 0"\nRestart=on-failure\n' };
    await world.rollOut(await serviceDeb('1.0', undefined, once), { hosts: [web1], services: [parseUnitName('once')] });
    const [start = ''] = await startsOf('once');
    expect(await untilEnded(start)).toEqual({ state: 'ended', exitCode: 0 });
    await world.observe([web1]);
    expect(await readFile(join(world.folder, 'services/web1/once/log'), 'utf8')).toBe('done\npipit: the service ended with 0\n');
  });

  it('that cannot be started again concern only their host', async () => {
    world = await openDeployer();
    const hosts = [web1, web2];
    await world.rollOut(await serviceDeb('1.0'), { hosts, ...served });
    const [start = ''] = await startsOf('web');
    for (const file of ['started', 'child'] as const) process.kill(-(await pidIn(start, file)), 'SIGKILL');
    await untilEnded(start);
    await rm(join(world.rootOf(web1), 'lib/systemd/system/web.service'));
    expect(await world.observe(hosts, served.check)).toMatchObject([
      { hostId: 'web1', healthy: false, error: { code: 'HOST_SERVICE_UNIT_MISSING' } },
      { hostId: 'web2', healthy: true },
    ]);
  });

  it('never print more than their log may hold, and are not held up', async () => {
    world = await openDeployer();
    const loud = { '/lib/systemd/system/loud.service': '[Service]\nExecStart=/bin/sh -c "yes a line that comes again and again"\n' };
    await world.rollOut(await serviceDeb('1.0', undefined, loud), { hosts: [web1], services: [parseUnitName('loud')] });
    const folder = join(world.folder, 'services/web1/loud');
    const sizeOf = async (name: string): Promise<number> => (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0;
    let [most, turns, last] = [0, 0, 0];
    await until('the log has begun anew ten times', async () => {
      const size = await sizeOf('log');
      most = Math.max(most, size + (await sizeOf('log.before')));
      const found = await stat(join(folder, 'log')).catch(() => undefined);
      if (found !== undefined && found.ino !== last) [turns, last] = [turns + 1, found.ino];
      return turns > 10 ? true : undefined;
    });
    // A look at two files while they change places may count the same one twice.
    expect(most).toBeLessThanOrEqual(MAX_SERVICE_LOG_BYTES * 1.5);
    const check = { type: 'command', argv: ['/bin/false'], withinMs: 1 } as const;
    expect(only(await world.observe([web1], check)).raw).toContain('\na line that comes again and again\n');
  });

  it('have their last words in their log', async () => {
    world = await openDeployer();
    const polite = {
      '/opt/web/polite': `#!/bin/sh\ntrap 'echo farewell; exit 0' TERM\necho up\nwhile :; do sleep 0.05; done\n`,
      '/lib/systemd/system/polite.service': '[Service]\nExecStart=/opt/web/polite\n',
    };
    await world.rollOut(await serviceDeb('1.0', undefined, polite), { hosts: [web1], services: [parseUnitName('polite')] });
    const log = join(world.folder, 'services/web1/polite/log');
    await until('it is up', async () => ((await readFile(log, 'utf8').catch(() => '')).includes('up\n') ? true : undefined));
    await world.rollOut(await serviceDeb('2.0'), { hosts: [web1], services: [] });
    expect(await readFile(log, 'utf8')).toMatch(/^up\n.*farewell\n$/s);
  });
});
