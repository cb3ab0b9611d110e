import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLab, type Lab, labUnavailable, openLab, runCommand, tryCommand } from '../src/index.js';
import { labTraces } from './lab-traces.js';

const unavailable = await labUnavailable();
/** The first lab of a machine builds the image. */
const FIRST_LAB_MS = 900_000;

describe('hosts of a lab', { timeout: 120_000 }, () => {
  let folder = '';
  let lab: Lab;

  beforeAll(async () => {
    if (unavailable !== undefined) return;
    folder = await mkdtemp(join(tmpdir(), 'pipit-lab-'));
    lab = await createLab({ folder, hosts: [{ name: 'one' }, { name: 'two' }, { name: 'small', diskBytes: 32 * 1024 * 1024 }] });
  }, FIRST_LAB_MS);

  afterAll(async () => {
    await lab?.down();
    if (folder !== '') await rm(folder, { recursive: true });
  }, 60_000);

  beforeEach(({ skip }) => skip(unavailable !== undefined, unavailable));

  const ssh = (name: string, ...argv: readonly string[]) =>
    tryCommand(['ssh', '-F', lab.sshConfigFile, '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=3', name, ...argv]);
  const sshAsDeploy = (name: string, command: string) => ssh(name, '-l', 'deploy', command);

  it.each(['one', 'two', 'small'])('runs systemd and lets root in over ssh with checked host keys: %s', async (name) => {
    expect(await ssh(name, 'hostname; cat /proc/1/comm; systemctl is-system-running')).toMatchObject({
      exitCode: 0,
      stdout: `${name}\nsystemd\nrunning\n`,
    });
  });

  it('gives each host its own machine id, and a person who may use sudo', async () => {
    const ids = await Promise.all(lab.hosts.map(async (host) => (await host.exec(['cat', '/etc/machine-id'])).stdout));
    expect(new Set(ids).size).toBe(3);
    expect((await sshAsDeploy('one', 'id -un; sudo id -un')).stdout).toBe('deploy\nroot\n');
  });

  it('refuses a host that shows another key', async () => {
    const wrong = join(folder, 'wrong-known-hosts');
    const [line = ''] = lab.knownHosts;
    await writeFile(wrong, line.replace(/^\S+/, 'two'));
    const { exitCode, stderr } = await ssh('two', '-o', `UserKnownHostsFile=${wrong}`, 'true');
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 255, stderr: expect.stringContaining('Host key verification failed') });
  });

  it('shows the disk of a host from outside, and keeps it over a stop and a power cut', async () => {
    const host = lab.host('one');
    await host.exec(['sh', '-c', 'echo kept > /root/note']);
    expect(await readFile(join(host.rootFolder, 'root/note'), 'utf8')).toBe('kept\n');
    await host.stop();
    expect([await host.state(), await host.pid()]).toEqual(['stopped', undefined]);
    await expect(host.exec(['true'])).rejects.toThrow('one is not running');
    await host.start();
    await host.kill();
    expect(await host.state()).toBe('stopped');
    await host.start();
    expect((await ssh('one', 'cat /root/note')).stdout).toBe('kept\n');
  });

  it('cuts a host from the network while it runs on, and heals it', async () => {
    const host = lab.host('two');
    await host.cut();
    expect([await host.isCut(), await host.state(), (await ssh('two', 'true')).exitCode]).toEqual([true, 'running', 255]);
    expect((await lab.host('one').exec(['curl', '--silent', '--connect-timeout', '1', `http://${host.address}:22`])).exitCode).not.toBe(0);
    await host.heal();
    expect([await host.isCut(), (await ssh('two', 'true')).exitCode]).toEqual([false, 0]);
  });

  it('lets hosts reach one another by name, and this machine at the bridge', async () => {
    const { stdout } = await lab.host('one').exec(['sh', '-c', 'getent hosts two lab; exec 3<>/dev/tcp/two/22 && head -c 4 <&3 || true']);
    expect(stdout).toContain(lab.host('two').address);
    expect(stdout).toContain(lab.bridgeAddress);
    expect((await lab.host('one').exec(['bash', '-c', 'exec 3<>/dev/tcp/two/22; head -c 4 <&3'])).stdout).toBe('SSH-');
  });

  it('limits a disk where that is asked for', async () => {
    const { exitCode, stderr } = await lab.host('small').exec(['dd', 'if=/dev/zero', 'of=/var/filler', 'bs=1M', 'count=64']);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('No space left on device')]);
    await lab.host('small').exec(['rm', '/var/filler']);
  });

  it('is found again from its folder, and leaves nothing when it is down', async () => {
    const again = await openLab(folder);
    expect(again?.hosts.map(({ name, address }) => ({ name, address }))).toEqual(lab.hosts.map(({ name, address }) => ({ name, address })));
    expect(await again?.host('one').pid()).toBe(await lab.host('one').pid());
    const traces = await labTraces(folder);
    expect((await traces()).length).toBeGreaterThan(10);
    await lab.down();
    expect(await traces()).toEqual([]);
    await lab.down();
    expect(await openLab(folder)).toBeUndefined();
    expect(await runCommand(['ip', 'netns', 'list'])).not.toContain(folder);
  });
});
