import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Artifact,
  type Commit,
  type Deployer,
  type Host,
  type HostReport,
  type InstallSource,
  type Op,
  parseAppName,
  parseCommitSha,
  parseHostAddress,
  parseRingName,
  parseRoleName,
  parseUnitName,
  type Release,
  type RingRef,
  type RolloutRequest,
} from '@pipit/core';
import { createTestOp, createTestShell } from '@pipit/plugin-testing';
import { createLab, type Lab, type LabHost, type LabOptions } from 'pipit-lab';
import { type AptShelf, type BuiltDeb, openAptShelf } from './apt-shelf.js';
import { openInstance, until } from './instances.js';

export type NoOptions = Readonly<Record<string, never>>;
export type Request = RolloutRequest<NoOptions>;

export const canary: RingRef = { app: parseAppName('web'), role: parseRoleName('app'), ring: parseRingName('canary') };
/** The first lab of a machine builds the image. */
export const FIRST_LAB_MS = 900_000;
export const HEALTH_PORT = 8_080;

const commit: Commit = {
  repository: { id: '1', name: 'acme/web', url: 'https://example.org/acme/web.git' },
  sha: parseCommitSha('0123456789abcdef0123456789abcdef01234567'),
  committedAt: '2026-01-01T00:00:00Z',
};

export const releaseOf = (artifact: Artifact): Release => ({ app: canary.app, version: artifact.version, commit, artifacts: [artifact] });

/** An HTTP server in what every Debian host has. */
const SERVER = `#!/usr/bin/perl
use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalPort => ${HEALTH_PORT}, Listen => 5, ReuseAddr => 1) or die "cannot listen: $!";
while (my $client = $server->accept) {
  my $line = <$client> // '';
  while (defined(my $header = <$client>)) { last if $header =~ /^\\s*$/ }
  my $status = $line =~ m{ /broken } ? '503 Broken' : '200 OK';
  print $client "HTTP/1.1 $status\\r\\nConnection: close\\r\\n\\r\\nVERSION\\n";
  close $client;
}
`;

export const unitOf = (execStart: string): string =>
  `[Unit]\nDescription=web\n[Service]\nExecStart=${execStart}\n[Install]\nWantedBy=multi-user.target\n`;

/** The files of a package with a service that answers on the health port. */
export const serviceFiles = (version: string, execStart = '/opt/web/server'): Readonly<Record<string, string>> => ({
  '/opt/web/server': SERVER.replace('VERSION', version),
  '/opt/web/version': `${version}\n`,
  '/lib/systemd/system/web.service': unitOf(execStart),
});

export const web = [parseUnitName('web')];
export const servedWith = (withinMs: number): Pick<Request, 'services' | 'check'> => ({
  services: web,
  check: { type: 'http', port: HEALTH_PORT, path: '/health', withinMs },
});

export interface LabWorld {
  readonly lab: Lab;
  readonly shelf: AptShelf;
  host(name: string): Host;
  /** A fresh instance over the same hosts, as after a restart on another machine. */
  open(config?: object): Promise<{ readonly deployer: Deployer<NoOptions>; close(): Promise<void> }>;
  request(deb: BuiltDeb, sequence: number, source: InstallSource, more?: Partial<Request>): Request;
  /** Rolls out with a fresh instance, to the end. */
  rollOut(request: Request, key: string, config?: object): Promise<readonly HostReport[]>;
  observe(hosts: readonly Host[], check?: Request['check']): Promise<readonly HostReport[]>;
  /** Takes all of pipit's and the app's from a host. */
  clean(host: LabHost): Promise<void>;
  close(): Promise<void>;
}

export const opFor = (key: string, timeoutMs = 60_000, signal?: AbortSignal): Op<'shell' | 'connect'> =>
  createTestOp({
    key,
    timeoutMs,
    ...(signal === undefined ? {} : { signal }),
    shell: createTestShell('/tmp'),
    connect: () => Promise.reject(new Error('the deployer has its own ssh')),
  });

export const untilEnded = (
  deployer: Deployer<NoOptions>,
  handle: string,
  request: Request,
  key: string,
): Promise<readonly HostReport[]> => {
  let current = handle;
  return until(
    `the end of ${key}`,
    async () => {
      const state = await deployer.inspect({ handle: current, request }, opFor(key));
      if (state.state === 'ended') return state.result;
      if (state.state === 'lost') throw new Error(state.reason);
      current = state.handle ?? current;
      return undefined;
    },
    120_000,
  );
};

const CLEAN = `
systemctl stop web >/dev/null 2>&1
echo 'web install' | dpkg --set-selections
dpkg --purge --force-all web api >/dev/null 2>&1
dpkg --configure -a >/dev/null 2>&1
rm -rf /var/lib/pipit /etc/apt/sources.list.d/pipit-* /etc/apt/preferences.d/pipit-* /etc/apt/keyrings/pipit-* /opt/web /opt/api
systemctl daemon-reload; systemctl reset-failed >/dev/null 2>&1
exit 0
`;

/** Real hosts, a signed repository that they reach, and the plugin over both. */
export const openLabWorld = async (hosts: LabOptions['hosts']): Promise<LabWorld> => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-l-'));
  const lab = await createLab({ folder, hosts });
  const shelf = await openAptShelf(lab.bridgeAddress).catch(async (thrown: unknown) => {
    await lab.down();
    throw thrown;
  });
  const config = {
    user: 'root',
    identity: await readFile(lab.privateKeyFile, 'utf8'),
    knownHosts: lab.knownHosts.join('\n'),
    sshConfig: 'none',
    connectTimeout: '3s',
    tries: 2,
    keepAlive: '1s',
  };
  const open: LabWorld['open'] = async (more = {}) => {
    const { deployer, close } = await openInstance({ ...config, ...more });
    return { deployer, close };
  };
  return {
    lab,
    shelf,
    host: (name) => ({
      id: name,
      address: parseHostAddress(lab.host(name).address),
      available: true,
      attributes: { architecture: 'amd64' },
    }),
    open,
    request: ({ artifact }, sequence, source, more = {}) => ({
      ring: canary,
      sequence,
      hosts: [],
      services: [],
      release: releaseOf(artifact),
      sources: [source],
      options: {},
      ...more,
    }),
    rollOut: async (request, key, more) => {
      const instance = await open(more);
      try {
        return await untilEnded(instance.deployer, await instance.deployer.start(request, opFor(key)), request, key);
      } finally {
        await instance.close();
      }
    },
    observe: async (asked, check) => {
      const instance = await open();
      try {
        const packages = [releaseOf((await shelf.build({ version: '0' })).artifact).artifacts[0]?.name].flatMap((name) => name ?? []);
        return await instance.deployer.observe(
          { ring: canary, packages, hosts: asked, options: {}, ...(check === undefined ? {} : { check }) },
          opFor('observe'),
        );
      } finally {
        await instance.close();
      }
    },
    clean: async (host) => {
      await host.exec(['sh', '-c', CLEAN]);
    },
    close: async () => {
      await shelf.close();
      await lab.down();
      await rm(folder, { recursive: true, force: true });
    },
  };
};
