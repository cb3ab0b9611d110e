import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { buildPipit } from './build-program.js';
import { readPostmaster } from './database.js';
import { hookRequest } from './deliver.js';
import { APP, WEBHOOK_SECRET } from './installation.js';
import { waitUntil } from './wait-until.js';

/** How a process ended: its exit code, or the signal. */
export type End = NodeJS.Signals | number;

export interface Serving {
  readonly pid: number;
  /** All that it wrote to stderr. */
  log(): string;
  readonly ended: Promise<End>;
  isRunning(): boolean;
  send(signal: NodeJS.Signals): void;
}

/** The real `pipit serve`, in processes of its own, on one data folder. */
export interface PipitServe {
  readonly folder: string;
  readonly dataFolder: string;
  readonly url: string;
  /** Starts it without waiting. `preload`: modules for `node --import`. */
  launch(options?: { readonly preload?: readonly string[]; readonly env?: Readonly<Record<string, string>> }): Serving;
  /** Starts it and waits until it is ready. */
  start(options?: Parameters<PipitServe['launch']>[0]): Promise<Serving>;
  /** Replaces the keys that were added to the config file, as YAML. */
  configure(yaml: string): Promise<void>;
  readyz(): Promise<{ readonly status: number; readonly body: Readonly<Record<string, unknown>> }>;
  /** A push of which nothing is fetched: its ref is none that a pipeline listens to. */
  deliver(after: string): Promise<{ readonly status: number; readonly retryAfter: string | null }>;
  /** Kills what still runs after a test that failed. */
  endAll(): Promise<void>;
  remove(): Promise<void>;
}

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const socket = createServer();
    socket.once('error', reject);
    socket.listen(0, '127.0.0.1', () => {
      const address = socket.address();
      socket.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

const configText = (folder: string, port: number): string => `
dataFolder: ${folder}/data
server: { port: ${port} }
plugins:
  local:
    uses: "@pipit/plugin-local"
    with:
      secret: { $file: ${folder}/secret }
      inventory: ${folder}/inventory.yaml
      repositories: { ${APP}: { path: ${folder}/${APP}.git } }
pipelines:
  web:
    repositories: ["*"]
    trigger: { use: local, branches: [main] }
    ci: local
    packager: local
    repository: local
    discovery: local
    deployer: local
    rings: [{ name: canary }]
`;

const watchChild = (child: ChildProcess): Serving => {
  let log = '';
  let running = true;
  child.stderr?.on('data', (piece: Buffer) => {
    log += piece.toString();
  });
  child.stdout?.resume();
  const ended = new Promise<End>((resolve) =>
    child.once('close', (code, signal) => {
      running = false;
      resolve(signal ?? code ?? -1);
    }),
  );
  return { pid: child.pid ?? 0, log: () => log, ended, isRunning: () => running, send: (signal) => void child.kill(signal) };
};

export const createPipitServe = async (): Promise<PipitServe> => {
  // Root's own temporary folder may be closed to the database's user.
  const folder = await mkdtemp(join(process.getuid?.() === 0 ? '/var/tmp' : tmpdir(), 'pipit-serve-'));
  await chmod(folder, 0o755);
  const [command, port] = await Promise.all([buildPipit(), freePort()]);
  const configFile = join(folder, 'pipit.config.yaml');
  const dataFolder = join(folder, 'data');
  const url = `http://127.0.0.1:${port}`;
  const started: Serving[] = [];
  await mkdir(dataFolder);
  await writeFile(join(folder, 'secret'), WEBHOOK_SECRET, { mode: 0o600 });
  await writeFile(join(folder, 'inventory.yaml'), `hosts:\n  web1: { address: 127.77.2.1, tags: ["${APP}::app_canary"] }\n`);
  await writeFile(configFile, configText(folder, port));
  await execa('git', ['init', '--quiet', '--bare', '--initial-branch=main', join(folder, `${APP}.git`)]);

  const launch: PipitServe['launch'] = ({ preload = [], env = {} } = {}) => {
    const imports = preload.flatMap((path) => ['--import', path]);
    const words = [...imports, command.path, 'serve', '--config', configFile];
    // Nothing of vitest's environment.
    const serving = watchChild(
      spawn(process.execPath, words, {
        env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    );
    started.push(serving);
    return serving;
  };
  const endAll = async (): Promise<void> => {
    for (const serving of started.filter((each) => each.isRunning())) {
      serving.send('SIGKILL');
      await serving.ended;
    }
  };
  const readyz: PipitServe['readyz'] = async () => {
    const response = await fetch(`${url}/readyz`);
    return { status: response.status, body: (await response.json()) as Readonly<Record<string, unknown>> }; // our server's own
  };

  return {
    folder,
    dataFolder,
    url,
    launch,
    start: async (options) => {
      const serving = launch(options);
      await waitUntil('pipit is ready', async () => {
        if (!serving.isRunning()) throw new Error(`It ended with ${await serving.ended}: ${serving.log()}`);
        return (await readyz().catch(() => undefined))?.status === 200 ? true : undefined;
      });
      return serving;
    },
    configure: (yaml) => writeFile(configFile, `${configText(folder, port)}${yaml}\n`),
    readyz,
    deliver: async (after) => {
      const response = await fetch(`${url}/hooks/local`, hookRequest({ after }));
      return { status: response.status, retryAfter: response.headers.get('retry-after') };
    },
    endAll,
    remove: async () => {
      await endAll();
      const left = await readPostmaster(dataFolder).catch(() => undefined);
      if (left !== undefined) await execa('kill', ['-QUIT', String(left.pid)], { reject: false });
      await execa('gpgconf', ['--kill', 'gpg-agent'], { env: { GNUPGHOME: join(dataFolder, 'instances/local/gnupg') }, reject: false });
      await command.remove();
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
};
