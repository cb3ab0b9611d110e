import { execFile, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const SECRET = 'the webhook secret of a fuzz campaign';
const REPOSITORY = 'acme/shop';
const START_DEADLINE_MS = 120_000;
const run = promisify(execFile);

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const configOf = (folder, port) => `server: { host: 127.0.0.1, port: ${port} }
plugins:
  local:
    uses: "@pipit/plugin-local"
    with:
      secret: { $file: webhook-secret }
      inventory: ${join(folder, 'inventory.yaml')}
      repositories: { ${REPOSITORY}: { path: ${join(folder, 'shop.git')} } }
pipelines:
  main:
    repositories: [${REPOSITORY}]
    trigger: local
    ci: local
    packager: local
    repository: local
    discovery: local
    deployer: local
`;

/** A real `pipit serve` with its own database, in a folder of its own. `pipit` runs a command of its user and answers its JSON. */
export const startServer = async (program) => {
  // Root's own temporary folder may be closed to the user that the database runs as.
  const folder = mkdtempSync(join(process.getuid?.() === 0 ? '/var/tmp' : tmpdir(), 'pipit-fuzz-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  execFileSync('git', ['init', '--quiet', '--bare', join(folder, 'shop.git')]);
  writeFileSync(join(folder, 'webhook-secret'), SECRET, { mode: 0o600 });
  writeFileSync(join(folder, 'inventory.yaml'), 'hosts:\n  web1: { address: 127.0.0.1, tags: ["shop::app_canary"] }\n');
  writeFileSync(join(folder, 'pipit.config.yaml'), configOf(folder, port));
  mkdirSync(join(folder, 'data'));
  const options = ['--config', join(folder, 'pipit.config.yaml'), '--data', join(folder, 'data'), '--json'];
  const child = spawn(process.execPath, [program, 'serve', ...options], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  const errors = [];
  let log = '';
  let last = '';
  let out = '';
  child.stdout.on('data', (piece) => {
    out += piece;
  });
  child.stderr.on('data', (piece) => {
    log = `${log}${piece}`;
    last = `${last}${piece}`.slice(-4_000);
    const lines = log.split('\n');
    log = lines.pop() ?? '';
    // Errors and what is no line of the log, such as a crash.
    errors.push(...lines.filter((line) => line.includes('"level":"error"') || !line.startsWith('{')));
  });
  const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
  let exit;
  void ended.then((how) => {
    exit = how;
  });
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!out.includes('"url"')) {
    if (exit !== undefined || Date.now() > deadline) throw new Error(`pipit serve did not start (${exit}):\n${out}\n${last}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const pipit = async (...words) =>
    JSON.parse((await run(process.execPath, [program, ...words, ...options], { cwd: folder, maxBuffer: 64 * 1024 * 1024 })).stdout);
  return {
    port,
    secret: SECRET,
    repository: REPOSITORY,
    errors,
    pipit,
    hasEnded: () => exit !== undefined,
    stop: async () => {
      if (exit === undefined) child.kill('SIGTERM');
      return ended;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
};
