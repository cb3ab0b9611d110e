/** That every kind of this plugin keeps the published promises, on the real tools: git, dpkg, apt, gpg. One world a kind, in this order. */
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Advertisement,
  type Artifact,
  createSecret,
  type Host,
  type InstallSource,
  packageVersion,
  parseCommitSha,
  parseDigest,
  parseHostAddress,
  parsePackageName,
  parsePackageVersion,
  parseRefName,
  type RolloutRequest,
  type Sandbox,
} from '@pipit/core';
import { createSandbox, inspectDetached } from '@pipit/plugin-kit';
import {
  createTemporaryFolder,
  createTestOp,
  createTestShell,
  createTestSource,
  testAdvertiser,
  testCi,
  testDeployer,
  testDiscovery,
  testPackager,
  testPlugin,
  testRepository,
  testTrigger,
} from '@pipit/plugin-testing';
import { afterAll, beforeAll } from 'vitest';
import { createAptRepository } from '../src/apt-repository.js';
import { plugin } from '../src/index.js';
import { createLocalAdvertiser } from '../src/local-advertiser.js';
import { createLocalDeployer } from '../src/local-deployer.js';
import { createLocalDiscovery } from '../src/local-discovery.js';
import { stopHostServices } from '../src/service-supervisor.js';
import * as builds from './build-requests.js';
import { createGitRepository } from './git-repository.js';
import {
  buildDeb,
  callFor,
  canary,
  files,
  loopbackAddress,
  makeHostRoot,
  offeredVersions,
  production,
  releaseOf,
  removeFolder,
  ringOf,
  silent,
  temporaryFolder,
  until,
} from './hosts-support.js';
import * as packages from './package-requests.js';
import { servedWith, serviceDeb } from './service-packages.js';
import * as hooks from './signed-deliveries.js';

type Options = Readonly<Record<string, never>>;
const options: Options = {};

const goodConfig = {
  secret: 'a secret of the webhook',
  repositories: { 'acme/web': { path: '/srv/git/web.git' } },
  inventory: '/srv/pipit/inventory.yaml',
};

testPlugin('plugin-local', {
  plugin,
  goodConfig: { ...goodConfig, previousSecret: 'the secret before it' },
  badConfigs: {
    'no secret': { ...goodConfig, secret: undefined },
    'a short secret': { ...goodConfig, secret: 'short' },
    'an unknown key': { ...goodConfig, repos: {} },
    'an unknown key of a repository': { ...goodConfig, repositories: { web: { path: '/srv/web.git', branch: 'main' } } },
    'a relative path': { ...goodConfig, repositories: { web: { path: 'web.git' } } },
    'a branch that is an option': { ...goodConfig, repositories: { web: { path: '/srv/web.git', branches: ['--all'] } } },
    'a time limit without a unit': { ...goodConfig, build: { timeLimit: '30' } },
    'a maintainer with a line break': { ...goodConfig, maintainer: 'Ada <ada@example.org>\nEssential: yes' },
  },
  secrets: [goodConfig.secret, 'the secret before it'],
});

testTrigger('plugin-local', {
  open: async () => {
    const folder = await createTemporaryFolder();
    const repository = await createGitRepository(folder.path);
    await repository.commit();
    await repository.push('main');
    const good = hooks.delivery(hooks.push);
    return {
      reopen: async () => hooks.openTrigger(repository.bare),
      repository: { id: repository.bare, name: 'acme/web' },
      hook: {
        good,
        expected: { ref: parseRefName(hooks.push.ref), sha: parseCommitSha(hooks.push.after) },
        bad: {
          'no signature': hooks.without(good, 'x-pipit-signature-256'),
          'a wrong signature': hooks.delivery(hooks.push, {}, createSecret('another secret of it')),
          'a wrong content type': hooks.delivery(hooks.push, { 'content-type': 'text/plain' }),
          'no delivery id': hooks.without(good, 'x-pipit-delivery'),
          'broken JSON': hooks.delivery('{"repository":'),
          'an unknown repository': hooks.delivery({ ...hooks.push, repository: { name: 'acme/other' } }),
        },
      },
      push: async () => {
        const commit = await repository.commit();
        await repository.push('main');
        return { ref: parseRefName('refs/heads/main'), sha: commit };
      },
      close: () => folder.remove(),
    };
  },
});

testCi<Options>('plugin-local', {
  open: async () => {
    const folder = await createTemporaryFolder();
    const good = await createTestSource({ files: builds.passing });
    const bad = await createTestSource({ files: { ...builds.passing, 'script/cibuild': builds.script('exit 3') } });
    const sandbox = await createSandbox({ hidden: [folder.path] });
    const requests = new Map([good, bad].map((source) => [source.commit.sha, source]));
    return {
      reopen: async () => builds.openCi(sandbox),
      good: builds.requestFor(good),
      bad: builds.requestFor(bad),
      createOp: async ({ key, request, ...options }) => {
        const shellFolder = join(folder.path, Buffer.from(key).toString('hex'));
        await mkdir(shellFolder, { recursive: true });
        return createTestOp({
          key,
          ...options,
          shell: createTestShell(shellFolder),
          source: requests.get(request.commit.sha) ?? good,
          callbackUrl: 'http://127.0.0.1:1/',
        });
      },
      outputPaths: ['opt/web/app', 'a'],
      forgottenHandle: join(folder.path, 'gone'),
      close: async () => {
        await Promise.all([folder.remove(), good.remove(), bad.remove()]);
      },
    };
  },
});

testPackager<Options>('plugin-local', {
  open: async () => {
    const folder = await createTemporaryFolder();
    const good = await createTestSource({ files: packages.files });
    const bad = await createTestSource({ files: { 'bin/web': 'x' } });
    let count = 0;
    return {
      reopen: async () => packages.createPackager(),
      good: packages.requestFor(good),
      bad: packages.requestFor(bad, { version: packageVersion(bad.commit, '6.6.6') }),
      createOp: async ({ request, files: store, ...options }) => {
        count += 1;
        const shellFolder = join(folder.path, `${count}`);
        await mkdir(shellFolder);
        const source = request.version.startsWith('6.6.6') ? bad : good;
        return createTestOp({ ...options, shell: createTestShell(shellFolder), source, files: store });
      },
      close: async () => {
        await Promise.all([folder.remove(), good.remove(), bad.remove()]);
      },
    };
  },
});

const ringsSource = (sources: readonly InstallSource[]): InstallSource & { readonly format: 'deb' } => {
  const source = sources.find((candidate) => candidate.format === 'deb');
  if (source?.format !== 'deb') throw new Error('the repository gives no source of format deb');
  return source;
};

testRepository<Options>('plugin-local', {
  open: async () => {
    const folder = await temporaryFolder();
    const opened = new Set<ReturnType<typeof createAptRepository<Options>>>();
    const reopen = async () => {
      const repository = createAptRepository<Options>({ folder, logger: silent });
      opened.add(repository);
      return repository;
    };
    return {
      reopen,
      options,
      first: [await buildDeb({ version: '1.0-20260101000000.abcdef0' })],
      second: [await buildDeb({ version: '1.1~rc1-20260102000000.abcdef1' })],
      conflicting: [await buildDeb({ version: '1.0-20260101000000.abcdef0', files: { '/opt/web/version': 'other bytes' } })],
      ring: canary,
      otherRing: production,
      createOp: async (given = {}) =>
        createTestOp({ ...given, files, shell: createTestShell(await mkdtemp(join(folder, 'shell-'))), key: 'publish:1:1' }),
      readOffered: async (ring) => {
        const root = await mkdtemp(join(folder, 'host-'));
        const { uris, suite, keys } = ringsSource(await (await reopen()).installSources({ ring, options }, callFor('source')));
        await makeHostRoot(root, { uri: uris[0] ?? '', suite, key: keys[0] ?? '' });
        return offeredVersions(root);
      },
      close: async () => {
        for (const repository of opened) await repository.dispose();
        await removeFolder(folder);
      },
    };
  },
});

testDiscovery<Options>('plugin-local', {
  open: async () => {
    const folder = await temporaryFolder();
    const inventory = join(folder, 'inventory.yaml');
    const lines = [
      'hosts:',
      '  web1: { address: 127.77.0.11, tags: ["web::app_canary"], attributes: { rack: a } }',
      '  web2: { address: 127.77.0.12, tags: ["web::app_canary"], available: false, reason: disk replaced }',
      '  web3: { address: 127.77.0.13, tags: ["web::app"] }',
      '',
    ];
    await writeFile(inventory, lines.join('\n'));
    return {
      reopen: async () => createLocalDiscovery<Options>({ inventory, folder }),
      options,
      ring: canary,
      availableIds: ['web1'],
      unavailableIds: ['web2'],
      empty: ringOf('canary', 'other'),
      addHost: async () => {
        await writeFile(inventory, '  web4: { address: 127.77.0.14, tags: ["web::app_canary"] }\n', { flag: 'a' });
        return 'web4';
      },
      close: () => removeFolder(folder),
    };
  },
});

const advertisementOf = (sequence: number): Advertisement => {
  const version = parsePackageVersion(`1.${sequence}`);
  const digest = parseDigest(`sha256:${`${sequence}`.repeat(64)}`);
  return { version, sequence, artifacts: [{ format: 'deb', name: parsePackageName('web'), version, architecture: 'all', digest }] };
};

testAdvertiser<Options>('plugin-local', {
  open: async () => {
    const folder = await temporaryFolder();
    return {
      reopen: async () => createLocalAdvertiser<Options>({ folder }),
      options,
      ring: canary,
      otherRing: production,
      first: advertisementOf(1),
      second: advertisementOf(2),
      readPlainVersion: async ({ app, role, ring }) =>
        (await readFile(join(folder, 'advertised', app, role, ring, 'version'), 'utf8').catch(() => undefined))?.trim(),
      close: () => removeFolder(folder),
    };
  },
});

/** One repository for all worlds of the deployer, which only read it: each request has a suite of its own. */
let depot: string;
let repository: ReturnType<typeof createAptRepository<Options>>;
let sandbox: Sandbox;
let shelf: Readonly<
  Record<'good' | 'bad' | 'older' | 'tampered' | 'neighbour', { readonly artifact: Artifact; readonly sources: readonly InstallSource[] }>
>;

const putOnShelf = async (name: string, artifact: Artifact, claimed = artifact) => {
  const ring = ringOf(name);
  await repository.publish({ artifacts: [artifact], options }, callFor(`publish ${name}`));
  await repository.offer({ ring, artifacts: [artifact], options }, callFor(`offer ${name}`));
  return { artifact: claimed, sources: await repository.installSources({ ring, options }, callFor(`sources ${name}`)) };
};

beforeAll(async () => {
  depot = await temporaryFolder();
  sandbox = await createSandbox({ hidden: [depot], readable: [join(process.execPath, '..')] });
  repository = createAptRepository<Options>({ folder: depot, logger: silent });
  const promised = await buildDeb({ version: '2.0', files: { '/opt/web/version': 'what the canary ran' } });
  shelf = {
    good: await putOnShelf('good', await serviceDeb('1.0')),
    bad: await putOnShelf('bad', await serviceDeb('1.1', '/bin/sh -c "echo cannot connect; exit 1"')),
    older: await putOnShelf('older', await serviceDeb('0.9')),
    neighbour: await putOnShelf('neighbour', await buildDeb({ name: 'api', version: '1.0', postInstall: '#!/bin/sh\nexit 1\n' })),
    tampered: await putOnShelf('tampered', await serviceDeb('2.0'), promised),
  };
});
afterAll(async () => {
  await repository.dispose();
  await removeFolder(depot);
});

/** An install outlives whoever started it, also a check. */
const untilInstallsEnded = (folder: string): Promise<true> =>
  until('the installs have ended', async () => {
    const paths = await readdir(join(folder, 'tasks'), { recursive: true }).catch(() => []);
    const tries = paths.filter((path) => /\/try-\d+$/.test(path));
    const states = await Promise.all(tries.map((path) => inspectDetached(join(folder, 'tasks', path))));
    return states.every((state) => state?.state !== 'running') ? true : undefined;
  });

testDeployer<Options>('plugin-local', {
  open: async () => {
    // In the folder that the sandbox hides, as pipit's data folder is.
    const folder = await mkdtemp(join(depot, 'world-'));
    const hostNamed = (id: string, number: number): Host => ({
      id,
      address: parseHostAddress(loopbackAddress(number)),
      available: true,
      attributes: { architecture: 'amd64' },
    });
    const hosts = [hostNamed('web1', 11), hostNamed('web2', 12)];
    const requestOf = (name: keyof typeof shelf, sequence: number, withinMs = 10_000): RolloutRequest<Options> => ({
      ring: canary,
      sequence,
      hosts,
      ...servedWith(withinMs),
      release: releaseOf(shelf[name].artifact),
      sources: shelf[name].sources,
      options,
    });
    const unreachableHost = hostNamed('dead', 13);
    await mkdir(join(folder, 'hosts/dead'), { recursive: true });
    await writeFile(join(folder, 'hosts/dead/down'), '');
    return {
      reopen: async () => createLocalDeployer<Options>({ folder, sandbox, logger: silent }),
      good: requestOf('good', 5),
      bad: requestOf('bad', 6, 500),
      older: requestOf('older', 3),
      tampered: requestOf('tampered', 7),
      neighbour: { ...requestOf('neighbour', 1), ring: ringOf('canary', 'api'), services: [] },
      unreachableHost,
      forgottenHandle: 'f'.repeat(32),
      createOp: async ({ request: _request, ...given }) =>
        createTestOp({
          ...given,
          shell: createTestShell(folder),
          connect: () => Promise.reject(new Error('hosts of this machine are not connected to')),
        }),
      countEffects: async () => (await readdir(join(folder, 'tasks'))).filter((name) => !name.endsWith('.lock')).length,
      close: async () => {
        await untilInstallsEnded(folder);
        await stopHostServices(folder);
        await removeFolder(folder);
      },
    };
  },
});
