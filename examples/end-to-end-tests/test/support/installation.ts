import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer as createSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { stopHostServices } from '@pipit/plugin-local';
import type { Api, GivenRing } from '@pipit/runtime';
import { createHttpApi } from '@pipit/server';
import { execa } from 'execa';
import { buildProgram } from './build-program.js';
import { query, readPostmaster } from './database.js';
import { createDeveloper, type Developer } from './developer.js';
import { createReportCounter, type ReportCounter } from './report-counter.js';
import { type ServerProcess, startServerProcess } from './server-process.js';
import type { KillOrder } from './server-settings.js';
import { waitUntil } from './wait-until.js';

type Row = Readonly<Record<string, unknown>>;

/** `id: ring`, for example `{ web1: 'canary' }`. */
export type Hosts = Readonly<Record<string, 'canary' | 'production'>>;

export interface InstallationOptions {
  readonly rings: readonly GivenRing[];
  /** Default: one canary and two in production. */
  readonly hosts?: Hosts;
  /** Whether the repository's hook tells the server of pushes; default true. */
  readonly hook?: boolean;
  /** Names of more apps, each with a repository of its own, on the same hosts. */
  readonly otherApps?: readonly string[];
}

export interface StartOptions {
  readonly kill?: KillOrder;
  readonly tellPoints?: boolean;
  readonly installLimit?: string;
  readonly takeOver?: readonly string[];
}

/** The one app of an installation, and its repository's name. */
export const APP = 'shop';
/** The webhook's secret, to be looked for where it must not be. */
export const WEBHOOK_SECRET = 'webhook-secret-4b825dc642cb6eb9a060e54bf8d69288';

/** A whole pipit in a temporary folder: repository, hosts, config, and a server in a process of its own that may be killed. */
export interface Installation {
  readonly folder: string;
  readonly dataFolder: string;
  /** The local plugin's own folder: APT repository, hosts, advertised versions. */
  readonly localFolder: string;
  readonly url: string;
  readonly developer: Developer;
  /** The developer of another app. */
  developerOf(app: string): Developer;
  readonly counter: ReportCounter;
  /** The server that runs now, or was started last. */
  server(): ServerProcess;
  start(options?: StartOptions): Promise<ServerProcess>;
  /** Starts a second one on the same data folder, on a port of its own. */
  startBeside(): Promise<ServerProcess>;
  api(): Api;
  /** The API token, made at the first start. */
  token(): string;
  query(sql: string, values?: readonly unknown[]): Promise<readonly Row[]>;
  /** The run of a commit, once it is as asked. */
  waitForRun(sha: string, what: string, isSo: (run: Row) => boolean, withinMs?: number): Promise<Row>;
  /** What the published index lists: version -> sha256. */
  published(): Promise<Readonly<Record<string, string>>>;
  hostRoot(host: string): string;
  /** What further servers run: another build of the program. */
  upgradeTo(programPath: string): void;
  /** Ends every process and removes every file. */
  remove(): Promise<void>;
}

/** Root's own temporary folder may be closed to the users that pipit runs things as. */
const parentFolder = (): string => (process.getuid?.() === 0 ? '/var/tmp' : tmpdir());

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const socket = createSocket();
    socket.once('error', reject);
    socket.listen(0, '127.0.0.1', () => {
      const address = socket.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      socket.close(() => resolve(port));
    });
  });

const DEFAULT_HOSTS: Hosts = { web1: 'canary', web2: 'production', web3: 'production' };

const inventoryText = (hosts: Hosts, apps: readonly string[]): string => {
  const lines = Object.entries(hosts).map(([id, ring], index) => {
    const tags = apps.map((app) => `"${app}::app${ring === 'canary' ? '_canary' : ''}"`);
    return `  ${id}: { address: 127.77.1.${index + 1}, tags: [${tags.join(', ')}] }`;
  });
  return `hosts:\n${lines.join('\n')}\n`;
};

/** Stops a database whose server was killed: it was left to be adopted, and nobody will. */
const stopDatabase = async (dataFolder: string): Promise<void> => {
  const postmaster = await readPostmaster(dataFolder).catch(() => undefined);
  if (postmaster === undefined) return;
  try {
    process.kill(postmaster.pid, 'SIGINT');
    await waitUntil(
      'the database ends',
      () =>
        readPostmaster(dataFolder).then(
          () => undefined,
          () => true,
        ),
      20_000,
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
};

export const createInstallation = async (options: InstallationOptions): Promise<Installation> => {
  const undo: (() => Promise<unknown>)[] = [];
  const remove = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (let last = undo.pop(); last !== undefined; last = undo.pop()) await last().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw new AggregateError(failures, 'The installation was not removed cleanly');
  };
  try {
    return await prepare(options, undo, remove);
  } catch (error) {
    await remove();
    throw error;
  }
};

const prepare = async (
  options: InstallationOptions,
  undo: (() => Promise<unknown>)[],
  remove: () => Promise<void>,
): Promise<Installation> => {
  const folder = await mkdtemp(join(parentFolder(), 'pipit-e2e-'));
  undo.push(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o755);
  const dataFolder = join(folder, 'data');
  const localFolder = join(dataFolder, 'instances/local');
  const counting = createReportCounter(join(localFolder, 'hosts'));
  const [program, counter, port] = await Promise.all([buildProgram('server'), counting, freePort()]);
  undo.push(program.remove, counter.close);
  let programPath = program.path;
  const otherApps = options.otherApps ?? [];
  const repositoryOf = (app: string): string => join(folder, `${app}.git`);
  const secretFile = join(folder, 'webhook-secret');
  const inventory = join(folder, 'inventory.yaml');
  await writeFile(secretFile, `${WEBHOOK_SECRET}\n`, { mode: 0o600 });
  await writeFile(inventory, inventoryText(options.hosts ?? DEFAULT_HOSTS, [APP, ...otherApps]));
  await mkdir(dataFolder);
  const url = `http://127.0.0.1:${port}`;
  const developers = new Map<string, Developer>();
  for (const app of [APP, ...otherApps])
    developers.set(
      app,
      await createDeveloper({
        repository: repositoryOf(app),
        clone: join(folder, app),
        app,
        ...(options.hook === false ? {} : { hook: { url: `${url}/hooks/local`, secretFile } }),
      }),
    );
  const developerOf = (app: string): Developer => {
    const found = developers.get(app);
    if (found === undefined) throw new Error(`${app} is not an app of this installation`);
    return found;
  };

  const servers: ServerProcess[] = [];
  let token = '';
  undo.push(() => stopHostServices(localFolder));
  // Its agent outlives a killed server.
  undo.push(() => execa('gpgconf', ['--kill', 'gpg-agent'], { env: { GNUPGHOME: join(localFolder, 'gnupg') }, reject: false }));
  undo.push(() => stopDatabase(dataFolder));
  undo.push(async () => {
    for (const server of servers.filter((each) => each.isRunning())) await server.kill();
  });
  const launch = async (at: number, start: StartOptions): Promise<ServerProcess> => {
    const repositories = Object.fromEntries([...developers.keys()].map((app) => [app, { path: repositoryOf(app) }]));
    const settings = { dataFolder, port: at, secretFile, inventory, repositories, rings: options.rings, ...start };
    const server = await startServerProcess(programPath, settings);
    servers.push(server);
    token = server.token ?? token;
    return server;
  };
  const ask = (sql: string, values: readonly unknown[] = []) => query(dataFolder, sql, values);

  return {
    folder,
    dataFolder,
    localFolder,
    url,
    developer: developerOf(APP),
    developerOf,
    counter,
    server: () => {
      const last = servers.at(-1);
      if (last === undefined) throw new Error('No server was started');
      return last;
    },
    start: (start = {}) => launch(port, start),
    startBeside: async () => launch(await freePort(), {}),
    api: () => createHttpApi({ url, token }),
    token: () => token,
    query: ask,
    waitForRun: async (sha, what, isSo, withinMs = 60_000) => {
      let last: Row | undefined;
      try {
        return await waitUntil(
          what,
          async () => {
            const runs = await ask('select * from runs where sha = $1', [sha]).catch(() => []); // the database may be on its way
            [last] = runs;
            return last !== undefined && isSo(last) ? last : undefined;
          },
          withinMs,
        );
      } catch (cause) {
        const steps = await ask(`select * from steps where state <> 'succeeded' order by started_at desc limit 5`).catch(() => []);
        throw new Error(`Run of ${sha} is not so: ${what}. It is ${JSON.stringify(last)}; open steps ${JSON.stringify(steps)}`, { cause });
      }
    },
    published: async () => {
      const suite = join(localFolder, 'apt/dists/published/main');
      const versions: Record<string, string> = {};
      for (const architecture of await readdir(suite)) {
        const text = gunzipSync(await readFile(join(suite, architecture, 'Packages.gz'))).toString();
        for (const stanza of text.split(/\n\n+/)) {
          const version = /^Version: (.+)$/m.exec(stanza)?.[1];
          if (version === undefined) continue;
          if (version in versions) throw new Error(`The index lists ${version} twice`);
          versions[version] = /^SHA256: (.+)$/m.exec(stanza)?.[1] ?? '';
        }
      }
      return versions;
    },
    upgradeTo: (path) => {
      programPath = path;
    },
    hostRoot: (host) => join(localFolder, 'hosts', host),
    remove,
  };
};
