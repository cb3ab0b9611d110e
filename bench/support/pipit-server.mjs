import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const main = new URL('../../packages/cli/dist/main.js', import.meta.url).pathname;
const READY_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 10;

export const REPOSITORY = 'bench/web';
export const SECRET = 'a secret of this benchmark alone';

const config = (folder, port) => `version: 1
server: { host: 127.0.0.1, port: ${port}, metrics: { allow: [127.0.0.1] } }
trustRepositories: true # no code of a repository runs here
plugins:
  local:
    uses: "@pipit/plugin-local"
    with:
      secret: { $env: PIPIT_BENCH_SECRET }
      inventory: ${JSON.stringify(join(folder, 'inventory.yaml'))}
      repositories: { ${JSON.stringify(REPOSITORY)}: { path: ${JSON.stringify(join(folder, 'web.git'))} } }
pipelines:
  main:
    repositories: [${JSON.stringify(REPOSITORY)}]
    trigger: local
    ci: local
    packager: local
    repository: local
    discovery: local
    deployer: local
`;

/** A folder with what `pipit serve` needs: config, inventory, an empty bare repository. */
export const prepareServer = (folder, port) => {
  mkdirSync(folder, { recursive: true });
  execFileSync('git', ['init', '--quiet', '--bare', join(folder, 'web.git')]);
  writeFileSync(join(folder, 'inventory.yaml'), 'hosts: {}\n');
  writeFileSync(join(folder, 'pipit.config.yaml'), config(folder, port));
};

const isReady = (port) =>
  new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/readyz', agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('error', () => resolve(false));
  });

/** The real `pipit serve` of the built packages. `readyMs`: until /readyz said 200; `startedMs`: until it said that everything runs. */
export const startServer = async (folder, port, nodeArguments = []) => {
  const from = performance.now();
  const child = spawn(
    process.execPath,
    [...nodeArguments, main, 'serve', '--json', '--config', join(folder, 'pipit.config.yaml'), '--data', join(folder, 'data')],
    { cwd: folder, env: { ...process.env, PIPIT_BENCH_SECRET: SECRET }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let log = '';
  child.stderr.on('data', (text) => {
    log = (log + text).slice(-5_000);
  });
  const exited = new Promise((resolve) => child.on('exit', resolve));
  const started = new Promise((resolve, reject) => {
    child.stdout.once('data', () => resolve(performance.now() - from));
    child.once('exit', () => reject(new Error(`pipit serve ended:\n${log}`)));
  });
  started.catch(() => undefined);
  let readyMs;
  while (readyMs === undefined) {
    if (await isReady(port)) readyMs = performance.now() - from;
    else if (child.exitCode !== null || performance.now() - from > READY_WITHIN_MS) throw new Error(`pipit serve did not start:\n${log}`);
    else await sleep(LOOK_EVERY_MS);
  }
  return {
    pid: child.pid,
    folder: join(folder, 'data'),
    readyMs,
    startedMs: await started,
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
};

/** A port that was free a moment ago. */
export const findPort = async () => {
  const { createServer } = await import('node:net');
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
};
