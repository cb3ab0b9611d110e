import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Artifact, type Host, type HostReport, parseHostAddress, type RolloutRequest, type Sandbox } from '@pipit/core';
import { createSandbox, minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAptRepository } from '../src/apt-repository.js';
import { createLocalDeployer } from '../src/local-deployer.js';
import { stopHostServices } from '../src/service-supervisor.js';
import { bundleProgram } from './bundle-program.js';
import {
  aptGet,
  buildDeb,
  callFor,
  canary,
  copyFolder,
  installedVersion,
  loopbackAddress,
  production,
  releaseOf,
  removeFolder,
  silent,
  temporaryFolder,
  trusted,
  until,
} from './hosts-support.js';
import { HEALTH_PORT, servedWith, serviceDeb } from './service-packages.js';

type Request = RolloutRequest<Record<string, never>>;
type Deployer = ReturnType<typeof createLocalDeployer<Record<string, never>>>;

let folder: string;
let repository: ReturnType<typeof createAptRepository<Record<string, never>>>;
let deployer: Deployer;
let sandbox: Sandbox = trusted;
let sequence = 0;

const hostNamed = (id: string, address = loopbackAddress(1)): Host => ({
  id,
  address: parseHostAddress(address),
  available: true,
  attributes: { architecture: 'amd64' },
});
const web1 = hostNamed('web1');
const rootOf = (host: Host): string => join(folder, 'hosts', host.id);

const begin = async (): Promise<void> => {
  folder = await temporaryFolder();
  repository = createAptRepository({ folder, logger: silent });
  deployer = createLocalDeployer({ folder, sandbox, logger: silent });
  sequence = 0;
};

const end = async (): Promise<void> => {
  await stopHostServices(folder);
  await repository.dispose();
  await removeFolder(folder);
};

/** Publishes, offers to the ring, and gives the rollout's request. */
const requestFor = async (artifact: Artifact, more: Partial<Request> = {}): Promise<Request> => {
  const ring = more.ring ?? canary;
  await repository.publish({ artifacts: [artifact], options: {} }, callFor(`publish ${artifact.version}`));
  await repository.offer({ ring, artifacts: [artifact], options: {} }, callFor(`offer ${artifact.version}`));
  sequence += 1;
  return {
    ring,
    sequence,
    hosts: [web1],
    services: [],
    release: releaseOf(artifact),
    sources: await repository.installSources({ ring, options: {} }, callFor('source')),
    options: {},
    ...more,
  };
};

const inspectUntilEnded = async (handle: string, request: Request, key: string, by: Deployer = deployer): Promise<readonly HostReport[]> =>
  until(`the end of ${key}`, async () => {
    const state = await by.inspect({ handle, request }, callFor(key));
    return state.state === 'ended' ? state.result : undefined;
  });

const rollOut = async (request: Request, key: string): Promise<readonly HostReport[]> =>
  inspectUntilEnded(await deployer.start(request, callFor(key)), request, key);

const only = (reports: readonly HostReport[]): HostReport => {
  const [report] = reports;
  if (report === undefined || reports.length !== 1) throw new Error(`${reports.length} reports`);
  return report;
};

const receiptOf = async (host: Host): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(join(rootOf(host), 'var/lib/pipit/web/receipt.json'), 'utf8'));

const served = servedWith(8_000);
const answer = async (path = '/'): Promise<string> => (await fetch(`http://${web1.address}:${HEALTH_PORT}${path}`)).text();

describe('a rollout to a host', () => {
  beforeEach(begin);
  afterEach(end);

  it('installs the exact version and keeps a receipt of version, digest and sequence', async () => {
    const one = await buildDeb({ version: '1.0-20260101000000.abcdef0' });
    const report = only(await rollOut(await requestFor(one), 'op:canary:1'));
    expect(report).toEqual({ hostId: 'web1', reachable: true, installed: { version: one.version, digest: one.digest, sequence: 1 } });
    expect(await installedVersion(rootOf(web1))).toBe(`installed ${one.version}`);
    // What apt installed is the very file whose digest was checked, and not the repository's copy of that version.
    const outcomes = join(rootOf(web1), 'var/lib/pipit/web/outcomes');
    const [log = ''] = (await readdir(outcomes)).filter((name) => name.endsWith('.log'));
    expect(await readFile(join(outcomes, log), 'utf8')).toMatch(/^Get:1 \/\S+\/work-\w+\/file\/web_\S+\.deb web all/m);
    expect(await receiptOf(web1)).toMatchObject({ key: 'op:canary:1', version: one.version, digest: one.digest, sequence: 1 });
  });

  it('upgrades, and downgrades again when the rollout says so', async () => {
    const [one, two] = [await buildDeb({ version: '1.0' }), await buildDeb({ version: '2.0' })];
    expect(only(await rollOut(await requestFor(one), 'k1')).installed?.version).toBe('1.0');
    expect(only(await rollOut(await requestFor(two), 'k2')).installed?.version).toBe('2.0');
    expect(only(await rollOut(await requestFor(one), 'k3')).installed).toEqual({ version: '1.0', digest: one.digest, sequence: 3 });
    expect(await readFile(join(rootOf(web1), 'opt/web/version'), 'utf8')).toBe('1.0\n');
  });

  it('refuses a sequence older than one that it has seen', async () => {
    const [one, two] = [await buildDeb({ version: '1.0' }), await buildDeb({ version: '2.0' })];
    await rollOut({ ...(await requestFor(two)), sequence: 7 }, 'k1');
    const report = only(await rollOut({ ...(await requestFor(one)), sequence: 6 }, 'k2'));
    expect(report.error).toMatchObject({ code: 'HOST_SEQUENCE_OLDER' });
    expect(report.installed).toEqual({ version: '2.0', digest: two.digest, sequence: 7 });
  });

  it('does nothing twice for one key', async () => {
    const one = await buildDeb({ version: '1.0', postInstall: '#!/bin/sh\necho ran >> "$DPKG_ROOT/opt/web/runs"\n' });
    const request = await requestFor(one);
    const reports = await rollOut(request, 'same');
    expect(await deployer.find(request, callFor('same'))).toBe(await deployer.start(request, callFor('same')));
    expect(await rollOut(request, 'same')).toEqual(reports);
    // Also when pipit lost its own record of the batch: the host's receipt knows the key.
    await removeFolder(join(folder, 'tasks'));
    expect(await deployer.find(request, callFor('same'))).toBeUndefined();
    expect(await rollOut(request, 'same')).toEqual(reports);
    expect(await readFile(join(rootOf(web1), 'opt/web/runs'), 'utf8')).toBe('ran\n');
  });

  it('renews the receipt without an install when the same bytes are rolled out again', async () => {
    const one = await buildDeb({ version: '1.0', postInstall: '#!/bin/sh\necho ran >> "$DPKG_ROOT/opt/web/runs"\n' });
    await rollOut(await requestFor(one), 'k1');
    expect(only(await rollOut(await requestFor(one), 'k2')).installed).toEqual({ version: '1.0', digest: one.digest, sequence: 2 });
    expect(await readFile(join(rootOf(web1), 'opt/web/runs'), 'utf8')).toBe('ran\n');
  });

  it('installs nothing of other bytes under the same version, put into the repository behind its back, and names both digests', async () => {
    const [zero, good] = [await buildDeb({ version: '0.9' }), await buildDeb({ version: '1.0' })];
    const bad = await buildDeb({ version: '1.0', files: { '/opt/web/version': 'evil' } });
    await rollOut(await requestFor(zero, { ring: production }), 'k0');
    const request = await requestFor(good, { ring: production });
    // Somebody with the key makes the whole repository anew from other bytes: the index is consistent and signed.
    const other = await temporaryFolder();
    await repository.dispose();
    await copyFolder(join(folder, 'gnupg'), join(other, 'gnupg'));
    const forged = createAptRepository<Record<string, never>>({ folder: other, logger: silent });
    await forged.publish({ artifacts: [bad], options: {} }, callFor('p'));
    await forged.offer({ ring: production, artifacts: [bad], options: {} }, callFor('o'));
    await forged.dispose();
    await removeFolder(join(folder, 'apt'));
    await copyFolder(join(other, 'apt'), join(folder, 'apt'));
    await removeFolder(other);
    const report = only(await rollOut(request, 'k1'));
    expect(report.error?.code).toBe('HOST_DIGEST_MISMATCH');
    expect(report.error?.message).toContain(good.digest);
    expect(report.error?.message).toContain(bad.digest);
    expect(report.installed?.version).toBe('0.9');
    expect(await readFile(join(rootOf(web1), 'opt/web/version'), 'utf8')).toBe('0.9\n');
  });

  it('names both digests too when only the file in the pool was changed', async () => {
    const good = await buildDeb({ version: '1.0' });
    const bad = await buildDeb({ version: '1.0', files: { '/opt/web/version': 'evil, and longer than it was' } });
    const request = await requestFor(good);
    const { files } = await import('./hosts-support.js');
    if (!('sha256' in bad.content)) throw new Error('no content');
    const chunks: Uint8Array[] = [];
    for await (const chunk of files.get(bad.content)) chunks.push(chunk);
    await writeFile(join(folder, 'apt/pool/web/1.0/all/web_1.0_all.deb'), Buffer.concat(chunks));
    const report = only(await rollOut(request, 'k1'));
    expect(report.error?.code).toBe('HOST_DIGEST_MISMATCH');
    expect(report.error?.message).toContain(good.digest);
    expect(report.error?.message).toContain(bad.digest);
    expect(report.installed).toBeUndefined();
  });

  it('says so when the ring is not offered the version', async () => {
    const [one, two] = [await buildDeb({ version: '1.0' }), await buildDeb({ version: '2.0' })];
    const request = await requestFor(one);
    await requestFor(two);
    expect(only(await rollOut(request, 'k')).error?.code).toBe('HOST_VERSION_NOT_OFFERED');
  });

  it('leaves a package on hold alone', async () => {
    const [one, two] = [await buildDeb({ version: '1.0' }), await buildDeb({ version: '2.0' })];
    await rollOut(await requestFor(one), 'k1');
    await runCommand(['dpkg', `--root=${rootOf(web1)}`, '--force-not-root', '--set-selections'], {
      cwd: '/',
      env: minimalEnvironment('/'),
      input: 'web hold\n',
    });
    const report = only(await rollOut(await requestFor(two), 'k2'));
    expect(report.error?.code).toBe('HOST_PACKAGE_HELD');
    expect(report.installed?.version).toBe('1.0');
  });

  it("reports a post-install script that fails with the log's end, and is repaired by the next rollout", async () => {
    const good = await buildDeb({ version: '1.0' });
    const bad = await buildDeb({ version: '2.0', postInstall: '#!/bin/sh\necho "no such table: users" >&2\nexit 7\n' });
    await rollOut(await requestFor(good), 'k1');
    const failed = only(await rollOut(await requestFor(bad), 'k2'));
    expect(failed.error?.code).toBe('HOST_INSTALL_FAILED');
    expect(failed.error?.message).toContain('web 2.0');
    expect(failed.error?.message).toContain('7');
    expect(failed.raw).toContain('no such table: users');
    expect(failed.installed).toBeUndefined();
    const repaired = only(await rollOut(await requestFor(good), 'k3'));
    expect(repaired).toEqual({ hostId: 'web1', reachable: true, installed: { version: '1.0', digest: good.digest, sequence: 3 } });
    expect(await installedVersion(rootOf(web1))).toBe('installed 1.0');
  });

  it('refuses to repair an interruption that is not its own', async () => {
    const [one, two] = [await buildDeb({ version: '1.0' }), await buildDeb({ version: '2.0' })];
    await rollOut(await requestFor(one), 'k1');
    const status = join(rootOf(web1), 'var/lib/dpkg/status');
    await writeFile(
      status,
      `${await readFile(status, 'utf8')}\nPackage: other\nStatus: install ok half-configured\nArchitecture: all\nVersion: 1\nMaintainer: x <x@example.org>\nDescription: x\n\n`,
    );
    const report = only(await rollOut(await requestFor(two), 'k2'));
    expect(report.error?.code).toBe('HOST_PACKAGE_MANAGER_INTERRUPTED');
    expect(report.error?.message).toContain("not pipit's: other (half-configured)");
    expect(await installedVersion(rootOf(web1))).toBe('installed 1.0');
  });

  it('installs nothing on a host that is marked down, and goes on with the others', async () => {
    const web2 = hostNamed('web2', loopbackAddress(2));
    await mkdir(rootOf(web1), { recursive: true });
    await writeFile(join(rootOf(web1), 'down'), '');
    const one = await buildDeb({ version: '1.0' });
    const reports = await rollOut(await requestFor(one, { hosts: [web1, web2] }), 'k');
    expect(reports.map(({ hostId, reachable }) => [hostId, reachable])).toEqual([
      ['web1', false],
      ['web2', true],
    ]);
    expect(reports[0]?.error?.code).toBe('HOST_DOWN');
    expect(existsSync(join(rootOf(web1), 'var/lib/dpkg/status'))).toBe(false);
    expect(reports[1]?.installed?.version).toBe('1.0');
  });

  it('leaves a host for whose architecture there is no package', async () => {
    const one = { ...(await buildDeb({ version: '1.0' })), architecture: 'arm64' };
    const request = { ...(await requestFor(await buildDeb({ version: '1.1' }))), release: releaseOf(one) };
    expect(only(await rollOut(request, 'k')).error?.code).toBe('HOST_ARCHITECTURE_UNSERVED');
  });

  it('installs on several hosts at once, never more than the limit', async () => {
    const few = createLocalDeployer<Record<string, never>>({ folder, sandbox, logger: silent, parallel: 2 });
    const hosts = ['a', 'b', 'c', 'd', 'e'].map((id) => hostNamed(id));
    const log = join(folder, 'log');
    // The first waits for a second one beside it, for 20 s at most; the others find that there were two.
    const meet = `tries=0; until [ "$(grep -c + ${log})" -ge 2 ] || [ "$tries" -ge 200 ]; do tries=$((tries + 1)); sleep 0.1; done`;
    const slow = await buildDeb({ version: '1.0', postInstall: `#!/bin/sh\necho + >> ${log}\n${meet}\necho - >> ${log}\n` });
    const request = await requestFor(slow, { hosts });
    const handle = await few.start(request, callFor('k'));
    const reports = await inspectUntilEnded(handle, request, 'k', few);
    expect(reports.map((report) => report.installed?.version)).toEqual(hosts.map(() => '1.0'));
    let [now, most] = [0, 0];
    for (const line of (await readFile(log, 'utf8')).trim().split('\n')) {
      now += line === '+' ? 1 : -1;
      most = Math.max(most, now);
    }
    expect(most).toBe(2);
  }, 90_000);

  it('finishes an install whose process was killed in the middle of the post-install script', async () => {
    const gate = join(folder, 'gate');
    const slow = await buildDeb({
      version: '1.0',
      postInstall: `#!/bin/sh\necho $$ > ${gate}.pid\nwhile [ ! -e ${gate} ]; do sleep 0.05; done\n`,
    });
    const request = await requestFor(slow);
    const handle = await deployer.start(request, callFor('k'));
    await until('the post-install script', () => (existsSync(`${gate}.pid`) ? true : undefined));
    const started = join(folder, 'tasks', handle, 'hosts/web1/try-1');
    // Everything at once, as a power cut does.
    const [runner = ''] = (await readFile(join(started, 'started'), 'utf8')).split(' ');
    const [child = ''] = (await readFile(join(started, 'child'), 'utf8')).split(' ');
    process.kill(-Number(runner), 'SIGKILL');
    process.kill(-Number(child), 'SIGKILL');
    const pid = (await readFile(`${gate}.pid`, 'utf8')).trim();
    // What runs under the install's time limit has a process group of its own.
    const [, , group = ''] = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
    process.kill(-Number(group), 'SIGKILL');
    await until('dpkg is gone', () => (existsSync(`/proc/${pid}`) ? undefined : true));
    expect(await installedVersion(rootOf(web1))).not.toBe('installed 1.0');
    await writeFile(gate, '');
    const report = only(await inspectUntilEnded(handle, request, 'k', createLocalDeployer({ folder, sandbox, logger: silent })));
    expect(report.installed).toEqual({ version: '1.0', digest: slow.digest, sequence: 1 });
    expect(await readdir(join(folder, 'tasks', handle, 'hosts/web1'))).toContain('try-2');
  });

  it('ends well when whoever started it is killed, and starts nothing twice', async () => {
    const gate = join(folder, 'gate');
    const slow = await buildDeb({
      version: '1.0',
      postInstall: `#!/bin/sh\necho ran >> "$DPKG_ROOT/opt/web/runs"\nwhile [ ! -e ${gate} ]; do sleep 0.05; done\n`,
    });
    const request = await requestFor(slow);
    await writeFile(join(folder, 'request.json'), JSON.stringify(request));
    const program = await bundleProgram(join(import.meta.dirname, 'start-in-child.ts'), folder);
    const starter = spawn(process.execPath, [program, folder], { stdio: 'ignore', detached: true });
    await until('the post-install script', () => (existsSync(join(rootOf(web1), 'opt/web/runs')) ? true : undefined));
    // The whole group, as a terminal or a service manager would.
    process.kill(-(starter.pid ?? Number.NaN), 'SIGKILL');
    const handle = await deployer.find(request, callFor('k'));
    if (handle === undefined) throw new Error('not found');
    expect(await deployer.start(request, callFor('k'))).toBe(handle);
    expect(await deployer.inspect({ handle, request }, callFor('k', 600))).toEqual({ state: 'running', partial: [] });
    await writeFile(gate, '');
    const report = only(await inspectUntilEnded(handle, request, 'k'));
    expect(report.installed).toEqual({ version: '1.0', digest: slow.digest, sequence: 1 });
    expect(await readFile(join(rootOf(web1), 'opt/web/runs'), 'utf8')).toBe('ran\n');
    expect((await readdir(join(folder, 'tasks', handle, 'hosts/web1'))).filter((name) => name.startsWith('try-'))).toEqual(['try-1']);
  });

  it('tells of a lost batch', async () => {
    const request = await requestFor(await buildDeb({ version: '1.0' }));
    expect(await deployer.inspect({ handle: 'f'.repeat(32), request }, callFor('k'))).toMatchObject({ state: 'lost' });
  });

  it('refuses a host id that is no folder name', async () => {
    const request = await requestFor(await buildDeb({ version: '1.0' }), { hosts: [hostNamed('../etc')] });
    await expect(deployer.start(request, callFor('k'))).rejects.toMatchObject({ code: 'HOST_ID_INVALID' });
  });

  it('never follows a link that code on the host laid where its records are', async () => {
    const secret = join(folder, 'secret');
    await writeFile(secret, 'top secret');
    const evil = await buildDeb({
      version: '1.0',
      postInstall: `#!/bin/sh\nmv "$DPKG_ROOT/var/lib/pipit/web/outcomes" "$DPKG_ROOT/x"\nmkdir "$DPKG_ROOT/y"\nln -s ${folder} "$DPKG_ROOT/var/lib/pipit/web/outcomes"\n`,
    });
    const report = only(await rollOut(await requestFor(evil), 'k'));
    expect(JSON.stringify(report)).not.toContain('top secret');
    expect(report.error?.code).toBe('HOST_SCRIPT_BROKEN');
  });
});

describe('what the package manager does by itself', () => {
  beforeEach(begin);
  afterEach(end);

  it('brings in nothing that the ring was not offered', async () => {
    const [one, two] = [await buildDeb({ version: '1.0' }), await buildDeb({ version: '2.0' })];
    await rollOut(await requestFor(one, { ring: production }), 'k1');
    await requestFor(two, { ring: canary });
    for (const command of [
      ['update', '--error-on=any'],
      ['upgrade', '--yes'],
      ['dist-upgrade', '--yes'],
    ])
      expect((await aptGet(rootOf(web1), command)).exitCode).toBe(0);
    expect(await installedVersion(rootOf(web1))).toBe('installed 1.0');
  });
});

describe.each([{ mode: 'trusted' as const }, { mode: 'namespaces' as const }])('services, sandbox: $mode', ({ mode }) => {
  beforeAll(async () => {
    sandbox = mode === 'trusted' ? trusted : await createSandbox({ hidden: ['/etc/ssh'], readable: [join(process.execPath, '..')] });
    expect(sandbox.mode).toBe(mode);
  });
  afterAll(() => {
    sandbox = trusted;
  });
  beforeEach(begin);
  afterEach(end);

  it('runs the service of the unit at the address of the host, and restarts it on upgrade', async () => {
    const report = only(await rollOut(await requestFor(await serviceDeb('1.0'), served), 'k1'));
    expect(report).toMatchObject({ healthy: true, installed: { version: '1.0' } });
    expect(await answer()).toBe('1.0');
    expect(only(await rollOut(await requestFor(await serviceDeb('2.0'), served), 'k2'))).toMatchObject({ healthy: true });
    expect(await answer()).toBe('2.0');
    const fresh = createLocalDeployer<Record<string, never>>({ folder, sandbox, logger: silent });
    const observed = await fresh.observe(
      { ring: canary, packages: [(await serviceDeb('2.0')).name], hosts: [web1], check: served.check, options: {} },
      callFor('o'),
    );
    expect(observed).toMatchObject([{ hostId: 'web1', reachable: true, healthy: true, installed: { version: '2.0', sequence: 2 } }]);
  });

  it('starts the service again when it dies', async () => {
    await rollOut(await requestFor(await serviceDeb('1.0'), served), 'k1');
    await answer('/crash').catch(() => undefined);
    expect(await until('the service is back', () => answer().catch(() => undefined))).toBe('1.0');
    expect(await readFile(join(folder, 'services/web1/web/log'), 'utf8')).toContain('pipit: the service ended with 3');
  });

  it('stops every service, and its supervisor, when told', async () => {
    await rollOut(await requestFor(await serviceDeb('1.0'), served), 'k1');
    await stopHostServices(folder);
    await expect(answer()).rejects.toThrow();
    expect((await readdir(join(folder, 'services/web1/web'))).filter((name) => name.startsWith('start-'))).toEqual([]);
  });

  it('reports a service that fails its health check, with the end of what it said', async () => {
    const bad = await serviceDeb('2.0', '/bin/sh -c "echo cannot connect to the database; exit 1"');
    const report = only(await rollOut(await requestFor(bad, { ...served, check: { ...served.check, withinMs: 700 } }), 'k'));
    expect(report).toMatchObject({ reachable: true, healthy: false, installed: { version: '2.0' }, error: { code: 'HOST_UNHEALTHY' } });
    expect(report.raw).toContain('cannot connect to the database');
  });

  it('asks a command in the host', async () => {
    const request = await requestFor(await serviceDeb('1.0'), {
      check: { type: 'command', argv: ['/usr/bin/grep', '-q', '1.0', '/opt/web/version'], withinMs: 500 },
    });
    expect(only(await rollOut(request, 'k'))).toMatchObject({ healthy: true });
    const observed = await deployer.observe(
      { ring: canary, packages: [], hosts: [web1], check: { type: 'command', argv: ['/bin/false'], withinMs: 1 }, options: {} },
      callFor('o'),
    );
    expect(observed).toMatchObject([{ healthy: false }]);
  });

  it('says what it does not understand in a unit', async () => {
    const report = only(await rollOut(await requestFor(await serviceDeb('1.0', '-/opt/web/run %i'), served), 'k'));
    expect(report).toMatchObject({ healthy: false, error: { code: 'HOST_SERVICE_UNSUPPORTED' } });
  });

  it('says when the package has no unit for the service', async () => {
    const report = only(await rollOut(await requestFor(await buildDeb({ version: '1.0' }), served), 'k'));
    expect(report).toMatchObject({ healthy: false, error: { code: 'HOST_SERVICE_UNIT_MISSING' } });
  });
});

describe('in the real sandbox', () => {
  beforeAll(async () => {
    const outside = await temporaryFolder();
    sandbox = await createSandbox({ hidden: [outside] });
    await removeFolder(outside);
  });
  afterAll(() => {
    sandbox = trusted;
  });
  beforeEach(begin);
  afterEach(end);

  it('shows a post-install script the host and nothing of pipit', async () => {
    const look = `#!/bin/sh
exec > "$DPKG_ROOT/opt/web/seen" 2>&1
id -u
ls ${'"$DPKG_ROOT"'}/../../gnupg && echo SEES-THE-KEY
touch /usr/pipit-was-here && echo WRITES-OUTSIDE
touch ${'"$DPKG_ROOT"'}/../other && echo WRITES-BESIDE
exit 0
`;
    const report = only(await rollOut(await requestFor(await buildDeb({ version: '1.0', postInstall: look })), 'k'));
    expect(report.installed?.version).toBe('1.0');
    const seen = await readFile(join(rootOf(web1), 'opt/web/seen'), 'utf8');
    expect(seen).not.toMatch(/SEES|WRITES-OUTSIDE/);
    expect(existsSync(join(folder, 'hosts/other'))).toBe(false);
    if (process.getuid?.() === 0) expect(seen.split('\n')[0]).not.toBe('0');
  });

  it('upgrades, repairs a failed install and goes back', async () => {
    const [good, bad] = [await buildDeb({ version: '1.0' }), await buildDeb({ version: '2.0', postInstall: '#!/bin/sh\nexit 9\n' })];
    await rollOut(await requestFor(good), 'k1');
    expect(only(await rollOut(await requestFor(bad), 'k2')).error?.code).toBe('HOST_INSTALL_FAILED');
    expect(only(await rollOut(await requestFor(good), 'k3')).installed).toEqual({ version: '1.0', digest: good.digest, sequence: 3 });
  });

  it('never shows a service what a link in its host leads to', async () => {
    const secret = join(folder, 'gnupg');
    await rollOut(await requestFor(await serviceDeb('1.0')), 'k1');
    await removeFolder(join(rootOf(web1), 'opt'));
    await symlink(secret, join(rootOf(web1), 'opt'));
    const observed = await deployer.observe(
      {
        ring: canary,
        packages: [],
        hosts: [web1],
        check: { type: 'command', argv: ['/usr/bin/test', '-e', '/opt/public.asc'], withinMs: 1 },
        options: {},
      },
      callFor('o'),
    );
    expect(observed).toMatchObject([{ healthy: false }]);
  });
});
