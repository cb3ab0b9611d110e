import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { Api, RunDetail } from '@pipit/runtime';
import { labUnavailable } from 'pipit-lab';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { prepareGround, type ShowcaseGround, type ShowcaseServer, startPipit } from '../src/showcase.js';
import { builtPlugins } from './support/built-plugins.js';
import { allowAllOrigins, NOTHING_FOUND, upgradeUnattended, wouldUpgrade } from './support/unattended-upgrades.js';
import { waitForRun } from './support/wait-for-run.js';

const UP_MS = 900_000;
const RUN_MS = 900_000;

const unavailable = (await labUnavailable()) ?? builtPlugins();

describe('the original pipeline on real components', () => {
  let folder: string;
  let ground: ShowcaseGround;
  let server: ShowcaseServer;
  let api: Api;
  const log: string[] = [];

  beforeAll(async () => {
    if (unavailable !== undefined) return;
    folder = await mkdtemp('/var/tmp/pipit-showcase-test-');
    ground = await prepareGround({ folder, moreLayers: { 'production-2': 'unattended-upgrades' } });
    server = await startPipit(ground, { dataFolder: join(folder, 'data'), writeLog: (line) => log.push(line) });
    api = server.runtime.api({ name: 'test', origin: 'library' });
  }, UP_MS);

  afterAll(async () => {
    await server?.stop();
    await ground?.down();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }, 120_000);

  beforeEach((context) => {
    if (unavailable !== undefined) context.skip(unavailable);
  });

  const hostsOf = (ring: 'canary' | 'production') => ground.lab.hosts.filter((host) => host.name.startsWith(`${ring}-`));

  /** From the host's own package database, and its receipt. */
  const installedOn = async (name: string): Promise<{ readonly version: string; readonly digest: string | undefined }> => {
    const host = ground.lab.host(name);
    const { stdout } = await host.exec(['dpkg-query', '-W', '-f', '$' + '{Version}', 'shop']);
    const receipt = await host.exec(['cat', '/var/lib/pipit/shop/receipt.json']);
    const digest = receipt.exitCode === 0 ? (JSON.parse(receipt.stdout) as { digest?: string }).digest : undefined;
    return { version: stdout.trim(), digest };
  };

  const versionsOf = (ring: 'canary' | 'production') =>
    Promise.all(hostsOf(ring).map(async (host) => (await installedOn(host.name)).version));

  const advertised = async (ring: string): Promise<string> => {
    const { consul } = ground.services;
    const answer = await fetch(`${consul.url}/v1/kv/pipit/shop/app/${ring}/version?raw`, {
      headers: { 'x-consul-token': consul.managementToken },
    });
    return answer.status === 404 ? '' : answer.text();
  };

  /** The version and digest that the published index of a ring lists. */
  const offered = async (ring: string): Promise<readonly { readonly version: string; readonly digest: string }[]> => {
    const [source] = (await ground.lab.host(`${ring}-1`).exec(['sh', '-c', 'cat /etc/apt/sources.list.d/pipit-shop.list'])).stdout.split(
      '\n',
    );
    const [url = '', suite = ''] = source?.split(' ').slice(-3) ?? [];
    const base = `${url}/dists/${suite}/main/binary-amd64/Packages`;
    // Freight publishes it packed only.
    const plain = await fetch(base);
    const text = plain.ok ? await plain.text() : gunzipSync(await (await fetch(`${base}.gz`)).arrayBuffer()).toString();
    return text
      .split(/\n\n+/)
      .filter((stanza) => /^Package: shop$/m.test(stanza))
      .map((stanza) => ({
        version: /^Version: (.+)$/m.exec(stanza)?.[1] ?? '',
        digest: `sha256:${/^SHA256: (.+)$/m.exec(stanza)?.[1] ?? ''}`,
      }));
  };

  const deliver = async (message: string, file: string, edit: (text: string) => string): Promise<RunDetail> => {
    const { sha } = await ground.developer.push(message, file, edit);
    return waitForRun(api, sha, log);
  };

  const promote = async (version: string): Promise<RunDetail> => {
    const { runId } = await api.promote({ app: 'shop', ifCanary: version, reason: 'the canary is well' });
    return waitForRun(api, runId, log, (run) => run.state === 'ended');
  };

  const askApp = async (headers: Readonly<Record<string, string>> = {}): Promise<string> =>
    (await (await fetch(`${ground.services.balancer.url}/`, { headers })).text()).trim();

  let first = '';

  it(
    'brings a push over Jenkins, FPM, aptly or Freight, Consul and SSH to the canaries, and nowhere else',
    async () => {
      const { sha } = await ground.developer.pushFirst();
      const { run } = await waitForRun(api, sha, log);
      expect(run).toMatchObject({ state: 'waiting', waitingFor: 'promotion' });
      first = run.version ?? '';
      expect(await versionsOf('canary')).toEqual([first, first]);
      expect(await versionsOf('production')).toEqual(['', '', '', '']);
      const [published] = await offered('canary');
      expect(published?.version).toBe(first);
      expect((await installedOn('canary-1')).digest).toBe(published?.digest);
      expect(await advertised('canary')).toBe(first);
      expect(await advertised('production')).toBe('');
      // The build host keeps nothing.
      expect((await ground.lab.host('build-1').exec(['sh', '-c', 'ls -d /var/tmp/pipit-* 2>/dev/null'])).stdout).toBe('');
      expect((await ground.lab.host('repository-1').exec(['sh', '-c', 'ls -d /var/tmp/pipit-* 2>/dev/null'])).stdout).toBe('');
    },
    RUN_MS,
  );

  it(
    'says of every part that it is well',
    async () => {
      const findings = await api.doctor();
      expect(findings.filter((finding) => !finding.ok)).toEqual([]);
      expect(new Set(findings.map((finding) => finding.instance))).toEqual(
        new Set(['pipit', 'github', 'jenkins', ground.repositoryProgram, 'consul', 'ssh', 'fpm']),
      );
    },
    RUN_MS,
  );

  it('sends requests with the canary header to the canaries', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => askApp({ 'X-Canary': '1' })));
    expect(answers.filter((answer) => !answer.startsWith('canary-'))).toEqual([]);
  });

  it(
    'gives production, promoted, the bytes that the canary runs',
    async () => {
      const { run } = await promote(first);
      expect(run.outcome).toBe('succeeded');
      expect(await versionsOf('production')).toEqual([first, first, first, first]);
      const digests = await Promise.all(
        ground.lab.hosts.filter((host) => /^(canary|production)-/.test(host.name)).map((host) => installedOn(host.name)),
      );
      expect(new Set(digests.map((each) => each.digest)).size).toBe(1);
      expect(await advertised('production')).toBe(first);
      const answers = new Set(await Promise.all(Array.from({ length: 24 }, () => askApp())));
      expect([...answers].some((answer) => answer.startsWith('production-'))).toBe(true);
    },
    RUN_MS,
  );

  it(
    'stops a commit whose tests fail in Jenkins',
    async () => {
      const { run } = await deliver('Add the tax', 'lib/tariff.pl', (text) => text.replace('cake => 400', 'cake => 428'));
      expect(run).toMatchObject({ state: 'ended', outcome: 'failed' });
      expect(await versionsOf('production')).toEqual([first, first, first, first]);
      expect(await versionsOf('canary')).toEqual([first, first]);
      expect(await advertised('canary')).toBe(first);
    },
    RUN_MS,
  );

  it(
    'takes the canaries back from a commit whose service does not start',
    async () => {
      await ground.developer.change('lib/tariff.pl', (text) => text.replace('cake => 428', 'cake => 400'));
      const { run } = await deliver('Read the tariff from a file', 'bin/shop', (text) =>
        text.replace('my $tariff = read_tariff();', "my $tariff = do '/etc/shop/tariff.pl' or die 'no tariff';"),
      );
      expect(run).toMatchObject({ state: 'ended', outcome: 'rolled-back' });
      expect(await versionsOf('canary')).toEqual([first, first]);
      expect(await versionsOf('production')).toEqual([first, first, first, first]);
      expect(await advertised('canary')).toBe(first);
    },
    RUN_MS,
  );

  let second = '';

  it(
    'goes on without a canary that is down, and shows production nothing of it in an apt-get upgrade',
    async () => {
      await ground.developer.change('bin/shop', (text) =>
        text.replace("my $tariff = do '/etc/shop/tariff.pl' or die 'no tariff';", 'my $tariff = read_tariff();'),
      );
      await ground.lab.host('canary-2').stop();
      const { run } = await deliver('Sell coffee', 'lib/tariff.pl', (text) => text.replace('tea => 250', 'coffee => 300, tea => 250'));
      expect(run).toMatchObject({ state: 'waiting', waitingFor: 'promotion' });
      second = run.version ?? '';
      expect((await installedOn('canary-1')).version).toBe(second);
      const upgrade = await ground.lab
        .host('production-1')
        .exec(['sh', '-c', 'apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y upgrade']);
      expect(upgrade.exitCode).toBe(0);
      expect(await versionsOf('production')).toEqual([first, first, first, first]);
      // canary-2 stays down: back with the release before, it would rightly forbid the promotion.
    },
    RUN_MS,
  );

  it(
    'shows production nothing of it in unattended-upgrades, whatever origins these may take',
    async () => {
      const host = ground.lab.host('production-2');
      await allowAllOrigins(host);
      const said = await upgradeUnattended(host);
      expect(said).toContain('site=*');
      expect(said).toContain(NOTHING_FOUND);
      const policy = (await host.exec(['apt-cache', 'policy', 'shop'])).stdout;
      expect(policy).toContain(`Candidate: ${first}`);
      expect(policy).not.toContain(second);
      expect(await versionsOf('production')).toEqual([first, first, first, first]);
      // The same command, had the host the canaries' source: it would upgrade, but for the pin.
      const source = (await ground.lab.host('canary-1').exec(['cat', '/etc/apt/sources.list.d/pipit-shop.list'])).stdout;
      expect(await wouldUpgrade(host, source, false)).toContain('Packages that will be upgraded: shop');
      expect(await wouldUpgrade(host, source, true)).toContain(NOTHING_FOUND);
    },
    RUN_MS,
  );

  it(
    'goes on without a production host whose cable is cut, and says which',
    async () => {
      await ground.lab.host('production-4').cut();
      const { run } = await promote(second);
      expect(run.outcome).toBe('succeeded');
      await ground.lab.host('production-4').heal();
      expect((await versionsOf('production')).slice(0, 3)).toEqual([second, second, second]);
      expect((await installedOn('production-4')).version).toBe(first);
      await ground.lab.host('canary-2').start();
    },
    RUN_MS,
  );
});
