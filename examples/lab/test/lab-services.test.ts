import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { APP_PORT, createLab, fleetHosts, type Lab, type LabServices, labUnavailable, startLabServices, tryCommand } from '../src/index.js';
import { labTraces } from './lab-traces.js';

const unavailable = await labUnavailable();
/** The first lab of a machine builds four images. */
const FIRST_LAB_MS = 1_500_000;

describe('services of a lab', { timeout: 120_000 }, () => {
  let folder = '';
  let lab: Lab;
  let services: LabServices;

  beforeAll(async () => {
    if (unavailable !== undefined) return;
    folder = await mkdtemp(join(tmpdir(), 'pipit-lab-services-'));
    lab = await createLab({ folder, hosts: fleetHosts({ canaries: 1, production: 1 }) });
    services = await startLabServices({ lab, jenkins: false });
  }, FIRST_LAB_MS);

  afterAll(async () => {
    await services?.stop();
    await lab?.down();
    if (folder !== '') await rm(folder, { recursive: true });
  }, 60_000);

  beforeEach(({ skip }) => skip(unavailable !== undefined, unavailable));

  const waitUntil = <T>(expected: T, probe: () => Promise<T>): Promise<void> =>
    expect.poll(probe, { timeout: 60_000, interval: 100 }).toEqual(expected);

  /** Status of a check of a node in Consul. */
  const checkOf = async (node: string, id: string): Promise<string | undefined> => {
    const answer = await services.consul.request('GET', `/v1/health/node/${node}`);
    const checks = (await answer.json()) as readonly { readonly CheckID: string; readonly Status: string }[];
    return checks.find((check) => check.CheckID === id)?.Status;
  };

  const runApp = async (name: string): Promise<void> => {
    // Perl is in every Debian.
    const app = `use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => ${APP_PORT}, Listen => 50, ReuseAddr => 1); while (my $c = $s->accept) { sysread($c, my $r, 4096); print $c "HTTP/1.0 200 OK\\r\\n\\r\\n${name}"; close $c }`;
    const { exitCode, stderr } = await lab.host(name).exec(['systemd-run', '--unit=app', '--quiet', 'perl', '-e', app]);
    expect([exitCode, stderr]).toEqual([0, '']);
  };

  it('has every host in Consul, with the tags of its ring', async () => {
    const answer = await services.consul.request('GET', '/v1/catalog/service/shop');
    const members = (await answer.json()) as readonly {
      readonly Node: string;
      readonly ServiceTags: readonly string[];
      readonly ServiceAddress: string;
    }[];
    expect(Object.fromEntries(members.map(({ Node, ServiceTags, ServiceAddress }) => [Node, [...ServiceTags, ServiceAddress]]))).toEqual({
      'canary-1': ['shop::app_canary', lab.host('canary-1').address],
      'production-1': ['shop::app', lab.host('production-1').address],
    });
    await waitUntil('passing', () => checkOf('build-1', 'service:build'));
  });

  it("lets a service's own check be critical while its host is well", async () => {
    await waitUntil('critical', () => checkOf('production-1', 'service:shop'));
    await runApp('production-1');
    await runApp('canary-1');
    await waitUntil('passing', () => checkOf('production-1', 'service:shop'));
    await lab.host('production-1').exec(['systemctl', 'stop', 'app']);
    await waitUntil('critical', () => checkOf('production-1', 'service:shop'));
    expect(await checkOf('production-1', 'serfHealth')).toBe('passing');
    await runApp('production-1');
  });

  it('sends requests with the canary header to canaries, and the rest to both rings', async () => {
    const ask = async (headers: Record<string, string>) => {
      const { stdout } = await tryCommand([
        'curl',
        '--silent',
        '--noproxy',
        '*',
        ...Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]),
        services.balancer.url,
      ]);
      return stdout;
    };
    const askMany = async (headers: Record<string, string>) =>
      [...new Set(await Promise.all(Array.from({ length: 8 }, () => ask(headers))))].sort();
    await waitUntil(['canary-1'], () => askMany({ 'X-Canary': '1' }));
    await waitUntil(['canary-1', 'production-1'], () => askMany({}));
    await services.balancer.command('set server all/canary-1 state drain');
    await waitUntil(['production-1'], () => askMany({}));
    await services.balancer.setServers([
      { name: 'production-1', address: lab.host('production-1').address, port: APP_PORT, ring: 'production' },
    ]);
    await waitUntil(['production-1'], () => askMany({}));
    await expect(services.balancer.setServers([{ name: 'bad name', address: 'x', port: 1, ring: 'canary' }])).rejects.toThrow('haproxy');
    await waitUntil(['production-1'], () => askMany({}));
  });

  it('serves what aptly publishes, signed, to the hosts', async () => {
    const publisher = lab.host('repository-1');
    const run = async (script: string) => {
      const { exitCode, stderr, stdout } = await publisher.exec(['sh', '-ec', script]);
      expect([exitCode, exitCode === 0 ? '' : stderr]).toEqual([0, '']);
      return stdout;
    };
    await run(`mkdir -p /root/p/DEBIAN; printf 'Package: hello-lab\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: Lab <lab@lab.invalid>\\nDescription: hello\\n' > /root/p/DEBIAN/control
dpkg-deb --build /root/p /root/hello.deb >/dev/null
printf 'Key-Type: eddsa\\nKey-Curve: ed25519\\nName-Real: Lab\\nName-Email: lab@lab.invalid\\n%%no-protection\\n' | gpg --batch --quiet --gen-key
printf '{"rootDir":"/srv/aptly","gpgProvider":"gpg","FileSystemPublishEndpoints":{"lab":{"rootDir":"${services.repository.folder}","linkMethod":"copy"}}}' > /root/.aptly.conf
aptly repo create -distribution=bookworm hello; aptly repo add hello /root/hello.deb; aptly publish repo -batch -architectures=all,amd64 hello filesystem:lab:
gpg --export > ${services.repository.folder}/key.gpg`);
    const host = lab.host('production-1');
    const { exitCode, stderr } = await host.exec([
      'sh',
      '-ec',
      `curl --silent --fail ${services.repository.url}/key.gpg > /usr/share/keyrings/lab.gpg
echo 'deb [signed-by=/usr/share/keyrings/lab.gpg] ${services.repository.url} bookworm main' > /etc/apt/sources.list.d/lab.list
apt-get -qq update --error-on=any; DEBIAN_FRONTEND=noninteractive apt-get -qq install -y hello-lab=1.0; dpkg --verify hello-lab`,
    ]);
    expect([exitCode, exitCode === 0 ? '' : stderr]).toEqual([0, '']);
  });

  it('has FPM on the build host', async () => {
    expect((await lab.host('build-1').exec(['fpm', '--version'])).stdout).toBe('1.18.0\n');
  });

  it('sees in Consul that a host is down, and leaves nothing when all is taken down', async () => {
    await lab.host('canary-1').kill();
    await waitUntil('critical', () => checkOf('canary-1', 'serfHealth'));
    const traces = await labTraces(folder);
    await services.stop();
    await lab.down();
    expect(await traces()).toEqual([]);
  });
});
