import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from '@pipit/core';
import { createRuntime, type Runtime } from '@pipit/runtime';
import { createServer } from '@pipit/server';
import { createLab, type FleetOptions, fleetHosts, freePort, type Lab, type LabServices, startLabServices } from 'pipit-lab';
import { cloneSampleApp, type Developer } from 'pipit-main-job';
import { findFreight, installFreight } from './freight.js';
import { createJenkinsJob } from './jenkins-job.js';
import { writeSwappedConfig } from './swaps.js';

const SAMPLE_APP = fileURLToPath(new URL('../sample-app', import.meta.url));
const STOP_DEADLINE_MS = 15_000;

export interface ShowcaseOptions {
  /** Where all of it is kept; made when missing. */
  readonly folder: string;
  /** Default 2. */
  readonly canaries?: number;
  /** Default 4. */
  readonly production?: number;
  /** What single hosts have beyond the usual, by their names. */
  readonly moreLayers?: FleetOptions['moreLayers'];
  readonly say?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** The lab with everything on it, and a developer, before any pipit. */
export interface ShowcaseGround {
  readonly lab: Lab;
  readonly services: LabServices;
  readonly developer: Developer;
  readonly port: number;
  /** The showcase's config: with Freight where this machine has it on its PATH, else with aptly. */
  readonly configFile: string;
  readonly repositoryProgram: 'aptly' | 'freight';
  /** What the config refers to by `$env`. */
  readonly environment: Readonly<Record<string, string>>;
  readonly down: () => Promise<void>;
}

/** A pipit that works on the lab, in this process. */
export interface ShowcaseServer {
  readonly runtime: Runtime;
  readonly url: string;
  readonly stop: () => Promise<void>;
}

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const secret = (): string => randomBytes(20).toString('hex');

/** What the repository's host serves: only what is published, for beside it are keys. */
const SERVED = `set -eu
mkdir -p "$1"; ln -s /srv/aptly/public "$1/aptly"; ln -s /srv/freight/cache "$1/freight"
install -d -o deploy -m 0755 /srv/aptly /srv/freight`;

/** Brings up the hosts, Consul, Jenkins with the job, the git server with its signed webhook, the repository host and the balancer. */
export const prepareGround = async (options: ShowcaseOptions): Promise<ShowcaseGround> => {
  const { folder, say = () => undefined, signal } = options;
  await mkdir(folder, { recursive: true });
  // The embedded database has a user of its own, who has to pass here.
  await chmod(folder, 0o755);
  const port = await freePort();
  const hookSecret = secret();
  const callbackSecret = secret();
  say('Bringing up the hosts (the first time their images are built, which takes some minutes) ...');
  const { canaries, production, moreLayers } = options;
  const fleet = { ...(canaries && { canaries }), ...(production && { production }), ...(moreLayers && { moreLayers }) };
  const lab = await createLab({ folder: join(folder, 'lab'), hosts: fleetHosts(fleet), ...(signal && { signal }) });
  let services: LabServices | undefined;
  const down = async (): Promise<void> => {
    await services?.stop();
    await lab.down();
  };
  try {
    say(`${lab.hosts.length} hosts are up. Starting Consul, Jenkins, git, the repository and the balancer ...`);
    services = await startLabServices({ lab, hooks: [{ url: `http://127.0.0.1:${port}/hooks/github`, secret: hookSecret }] });
    const { consul, jenkins, git, repository, cloneUrl } = services;
    if (jenkins === undefined) throw new Error('The lab has no Jenkins');
    const repositoryHost = lab.host('repository-1');
    const served = await repositoryHost.exec(['sh', '-c', SERVED, 'sh', repository.folder]);
    if (served.exitCode !== 0) throw new Error(served.stderr);
    const freight = await findFreight();
    if (freight !== undefined) await installFreight(repositoryHost, freight);
    const headerFile = join(folder, 'callback-header');
    await writeFile(headerFile, `x-pipit-secret: ${callbackSecret}\n`, { mode: 0o600 });
    await createJenkinsJob({ jenkins, name: 'shop-build', callbackHeaderFile: headerFile });
    const developer = await cloneSampleApp({ sampleApp: SAMPLE_APP, clone: join(folder, 'shop'), remote: cloneUrl });
    const environment = {
      SHOWCASE_URL: `http://127.0.0.1:${port}`,
      SHOWCASE_GIT_URL: git.url,
      SHOWCASE_HOOK_SECRET: hookSecret,
      SHOWCASE_JENKINS_URL: jenkins.url,
      SHOWCASE_JENKINS_TOKEN: jenkins.token,
      SHOWCASE_CALLBACK_SECRET: callbackSecret,
      SHOWCASE_APTLY_URL: `${repository.url}/aptly`,
      SHOWCASE_FREIGHT_URL: `${repository.url}/freight`,
      SHOWCASE_REPOSITORY_HOST: repositoryHost.address,
      SHOWCASE_CONSUL_URL: consul.url,
      SHOWCASE_CONSUL_TOKEN: consul.managementToken,
      SHOWCASE_SSH_KEY: await readFile(lab.privateKeyFile, 'utf8'),
      SHOWCASE_KNOWN_HOSTS: lab.knownHosts.join('\n'),
    };
    const configFile = join(folder, 'pipit.config.yaml');
    await writeSwappedConfig(configFile, freight === undefined ? [] : ['freight']);
    return {
      lab,
      services,
      developer,
      port,
      configFile,
      repositoryProgram: freight === undefined ? 'aptly' : 'freight',
      environment,
      down,
    };
  } catch (error) {
    await down();
    throw error;
  }
};

/** Starts pipit with a config file on a ground. */
export const startPipit = async (
  ground: Pick<ShowcaseGround, 'environment' | 'port' | 'configFile'>,
  options: {
    readonly dataFolder: string;
    /** Default: the ground's. */
    readonly configFile?: string;
    readonly writeLog: (line: string) => void;
  },
): Promise<ShowcaseServer> => {
  const url = `http://127.0.0.1:${ground.port}`;
  const runtime = await createRuntime({
    configFile: options.configFile ?? ground.configFile,
    dataFolder: options.dataFolder,
    environment: { ...process.env, ...ground.environment },
    pluginFolder: import.meta.dirname,
    writeLog: options.writeLog,
  });
  const server = createServer({
    runtime,
    host: '127.0.0.1',
    port: ground.port,
    logger: silent,
    version: '0.0.0',
    clock: { now: () => new Date() },
  });
  const stop = async (): Promise<void> => {
    await server.close({ deadlineMs: STOP_DEADLINE_MS });
    await runtime.stop({ deadlineMs: STOP_DEADLINE_MS });
  };
  try {
    await runtime.start();
    await server.listen();
    return { runtime, url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
};
