import { createReadStream } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join, normalize } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { renderPostReceiveHook, stopHostServices } from '@pipit/plugin-local';
import type { HostView } from '@pipit/runtime';
import { labUnavailable } from 'pipit-lab';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { prepareGround, type ShowcaseGround, startPipit } from '../src/showcase.js';
import { writeSwappedConfig } from '../src/swaps.js';
import { builtPlugins } from './support/built-plugins.js';
import { waitForRun } from './support/wait-for-run.js';

const UP_MS = 900_000;
const RUN_MS = 900_000;

const unavailable = (await labUnavailable()) ?? builtPlugins();

/** What a web server on pipit's machine does for the hosts: it serves one folder. */
const serveFolder = async (folder: string, address: string): Promise<{ readonly server: Server; readonly url: string }> => {
  const server = createServer((request, response) => {
    const path = join(folder, normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname)));
    const answer = async () => {
      if (!(await stat(path)).isFile()) throw new Error('no file');
      await pipeline(createReadStream(path), response);
    };
    answer().catch(() => response.headersSent || response.writeHead(404).end());
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  return { server, url: `http://${address}:${bound.port}` };
};

describe('the showcase with each part swapped by config alone', () => {
  let folder: string;
  let ground: ShowcaseGround;
  let packages: Server;
  let environment: Readonly<Record<string, string>>;
  let pushes = 0;

  const inventoryText = (members: Readonly<Record<string, readonly [address: string, ring: 'canary' | 'production']>>): string =>
    JSON.stringify({
      hosts: {
        ...Object.fromEntries(
          Object.entries(members).map(([name, [address, ring]]) => [
            name,
            { address, tags: [ring === 'canary' ? 'shop::app_canary' : 'shop::app'] },
          ]),
        ),
        'build-1': { address: ground.lab.host('build-1').address, services: ['build'] },
      },
    });

  /** What pipit's owner has at hand before any config is changed: inventories, a web server, a hook in the bare repository. */
  const prepareAlternatives = async (): Promise<void> => {
    const { lab, services } = ground;
    const served = await serveFolder(join(folder, 'data/instances/local/apt'), lab.bridgeAddress);
    packages = served.server;
    const secretFile = join(folder, 'local-secret');
    const secret = 'a secret of the post-receive hook';
    await writeFile(secretFile, secret, { mode: 0o600 });
    const hook = join(services.gitFolder, 'hooks/post-receive');
    const url = `http://127.0.0.1:${ground.port}/hooks/local`;
    await writeFile(hook, renderPostReceiveHook({ url, secretFile, repository: 'acme/shop', nodePath: process.execPath }));
    await chmod(hook, 0o755);
    const inventory = join(folder, 'inventory.yaml');
    await writeFile(
      inventory,
      inventoryText({
        'canary-1': [lab.host('canary-1').address, 'canary'],
        'production-1': [lab.host('production-1').address, 'production'],
      }),
    );
    const roots = join(folder, 'roots.yaml');
    await writeFile(roots, inventoryText({ web1: ['127.79.0.11', 'canary'], web2: ['127.79.0.12', 'production'] }));
    environment = {
      ...ground.environment,
      SHOWCASE_LOCAL_SECRET: secret,
      SHOWCASE_GIT_FOLDER: services.gitFolder,
      SHOWCASE_INVENTORY: inventory,
      SHOWCASE_ROOTS_INVENTORY: roots,
      SHOWCASE_LOCAL_PACKAGES_URL: served.url,
    };
  };

  beforeAll(async () => {
    if (unavailable !== undefined) return;
    folder = await mkdtemp('/var/tmp/pipit-swaps-test-');
    ground = await prepareGround({ folder, canaries: 1, production: 1 });
    await prepareAlternatives();
  }, UP_MS);

  afterAll(async () => {
    packages?.closeAllConnections();
    packages?.close();
    if (folder !== undefined) await stopHostServices(join(folder, 'data/instances/roots')).catch(() => undefined);
    await ground?.down();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }, 120_000);

  beforeEach((context) => {
    if (unavailable !== undefined) context.skip(unavailable);
  });

  /** The installation goes on with another config: pipit is ended, its file changed, pipit started, and a commit travels the whole way. */
  const deliverWith = async (...swaps: readonly string[]): Promise<void> => {
    const configFile = join(folder, 'swapped.config.yaml');
    await writeSwappedConfig(configFile, swaps);
    const log: string[] = [];
    const server = await startPipit(
      { ...ground, environment },
      { configFile, dataFolder: join(folder, 'data'), writeLog: (line) => log.push(line) },
    );
    try {
      const api = server.runtime.api({ name: 'test', origin: 'library' });
      pushes += 1;
      const { sha } =
        pushes === 1
          ? await ground.developer.pushFirst()
          : await ground.developer.push(`Change the tariff, ${pushes}`, 'lib/tariff.pl', (text) => `# ${pushes}\n${text}`);
      const { run: onCanary } = await waitForRun(api, sha, log);
      expect(onCanary, onCanary.reason ?? '').toMatchObject({ state: 'waiting', waitingFor: 'promotion' });
      const version = onCanary.version ?? '';
      const { runId } = await api.promote({ app: 'shop', ifCanary: version, reason: 'the canary is well' });
      const { run } = await waitForRun(api, runId, log, ({ state }) => state === 'ended');
      expect(run.outcome, run.reason ?? '').toBe('succeeded');
      const hosts = await api.listHosts({ app: 'shop' });
      const expected = ['canary', 'production'].map((ring) => ({ ring, version, healthy: true }));
      const found = hosts.map(({ ring, report }: HostView) => ({ ring, version: report?.installed?.version, healthy: report?.healthy }));
      expect(found.sort((one, other) => one.ring.localeCompare(other.ring))).toEqual(expected);
      const digests = new Set(hosts.map(({ report }) => report?.installed?.digest));
      expect([digests.size, digests.has(undefined)]).toEqual([1, false]);
    } finally {
      await server.stop();
    }
  };

  it('as it is', () => deliverWith(), RUN_MS);

  it.for([
    ['Jenkins', 'local CI', 'local-ci'],
    ['FPM', 'dpkg', 'local-packager'],
    ['aptly', 'a local repository', 'local-repository'],
    ['Consul', 'an inventory', 'local-discovery'],
    ['GitHub', 'a local webhook', 'local-trigger'],
    ['SSH', 'local roots', 'local-deployer'],
  ] as const)('%s for %s', { timeout: RUN_MS }, ([, , swap]) => deliverWith(swap));

  it(
    'aptly for Freight',
    async (context) => {
      if (ground.repositoryProgram !== 'freight') return context.skip('no freight on PATH: install it from its own project to run this');
      await deliverWith('freight');
    },
    RUN_MS,
  );

  it(
    'all of them at once, with hosts still over SSH',
    () => deliverWith('local-ci', 'local-packager', 'local-repository', 'local-discovery', 'local-trigger'),
    RUN_MS,
  );

  it('writes what a person would', async () => {
    const configFile = join(folder, 'read.config.yaml');
    await writeSwappedConfig(configFile, ['local-ci']);
    const text = await readFile(configFile, 'utf8');
    expect(text).toContain('ci: local');
    expect(text).not.toContain('plugin-jenkins');
  });
});
