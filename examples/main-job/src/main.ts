import { createWriteStream } from 'node:fs';
import { createServer as createSocket } from 'node:net';
import { join } from 'node:path';
import { createPaint, type TextOutput } from '@pipit/cli';
import { isPluginError, type Logger } from '@pipit/core';
import { stopHostServices } from '@pipit/plugin-local';
import { createRuntime, findServer } from '@pipit/runtime';
import { createServer } from '@pipit/server';
import { createDeveloper } from './developer.js';
import { clearInstallation, type Installation, locateInstallation, writeInstallation } from './installation.js';
import { type Edits, tellStory } from './story.js';

const EDITS: Edits = {
  breakTest: { file: 'lib/tariff.mjs', change: (text) => text.replace('cake: 400', 'cake: 428') },
  mendTest: { file: 'lib/tariff.mjs', change: (text) => text.replace('cake: 428', 'cake: 400') },
  breakService: {
    file: 'bin/shop',
    change: (text) =>
      text
        .replace('const tariff = readTariff();', "const tariff = JSON.parse(readFileSync('/etc/shop/tariff.json', 'utf8'));")
        .replace('import { createServer }', "import { readFileSync } from 'node:fs';\nimport { createServer }"),
  },
};

const PREFERRED_PORT = 7420;
const STOP_DEADLINE_MS = 15_000;

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createSocket();
    socket.once('error', () => resolve(false));
    socket.listen(port, '127.0.0.1', () => socket.close(() => resolve(true)));
  });

const choosePort = async (): Promise<number> => {
  for (let port = PREFERRED_PORT; port < PREFERRED_PORT + 100; port += 1) if (await isFree(port)) return port;
  throw new Error(`no free port from ${PREFERRED_PORT} on`);
};

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** The folder in which the local plugin keeps its hosts. */
const hostsFolder = (installation: Installation): string => join(installation.dataFolder, 'instances', 'local');

const nextCommands = (installation: Installation, url: string, root: string): string => {
  const pipit = `npx pipit --data ${installation.dataFolder}`;
  return `
pipit runs at ${url}  (data: ${installation.dataFolder}, log: ${join(installation.folder, 'pipit.log')})

  in another terminal, in ${root}:
    ${pipit} apps                     what runs where
    ${pipit} runs                     all runs
    ${pipit} hosts shop               every host, asked now
    ${pipit} --config ${installation.configFile} doctor
  change something in ${installation.clone}, commit and \`git push origin main\`, then
    ${pipit} promote shop --wait
  the config: ${installation.configFile}

Ctrl-C ends it.
`;
};

const run = async (output: TextOutput, once: boolean, stop: AbortController): Promise<void> => {
  const paint = createPaint(output.isLive && process.env.NO_COLOR === undefined);
  const installation = locateInstallation();
  const owner = await findServer(installation.dataFolder).catch(() => undefined);
  if (owner !== undefined) throw new Error(`the main job runs already (pid ${owner.pid}, ${owner.url ?? 'starting'}): end it first`);
  await stopHostServices(hostsFolder(installation)).catch(() => undefined);
  await clearInstallation(installation);
  const port = await choosePort();
  await writeInstallation(installation, port);

  const log = createWriteStream(join(installation.folder, 'pipit.log'), { flags: 'a' });
  output.write(`Starting pipit (${installation.folder}) ...\n`);
  const runtime = await createRuntime({
    configFile: installation.configFile,
    dataFolder: installation.dataFolder,
    pluginFolder: import.meta.dirname,
    logLevel: 'info',
    writeLog: (line) => log.write(line),
  });
  const server = createServer({ runtime, host: '127.0.0.1', port, logger: silent, version: '0.0.0', clock: { now: () => new Date() } });
  try {
    await runtime.start();
    const { url } = await server.listen();
    const developer = await createDeveloper(installation, `${url}/hooks/local`);
    const api = runtime.api({ name: 'main-job', origin: 'cli' });
    await tellStory({ api, developer, edits: EDITS, output, paint, signal: stop.signal });
    output.write(paint.green('\nProduction runs the good release; neither of the two bad commits reached it.\n'));
    if (once) return;
    output.write(nextCommands(installation, url, process.cwd()));
    await new Promise<void>((resolve) => {
      stop.signal.addEventListener('abort', () => resolve(), { once: true });
      if (stop.signal.aborted) resolve();
    });
  } finally {
    await server.close({ deadlineMs: STOP_DEADLINE_MS });
    await runtime.stop({ deadlineMs: STOP_DEADLINE_MS });
    await stopHostServices(hostsFolder(installation));
    await new Promise<void>((resolve) => log.end(resolve));
  }
};

const main = async (): Promise<number> => {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(130);
      process.stdout.write('\nEnding (once more to force) ...\n');
      stop.abort(new Error(`ended by ${signal}`));
    });
  const output: TextOutput = {
    write: (text) => process.stdout.write(text),
    isLive: process.stdout.isTTY === true && process.env.CI === undefined,
    columns: process.stdout.columns ?? 120,
    rows: process.stdout.rows ?? 40,
  };
  try {
    await run(output, process.argv.includes('--once'), stop);
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return 130;
    process.stderr.write(`\nThe main job failed: ${error instanceof Error ? error.message : String(error)}\n`);
    if (isPluginError(error) && error.hint !== undefined) process.stderr.write(`  ${error.code}. ${error.hint}\n`);
    process.stderr.write(`  The log: ${join(locateInstallation().folder, 'pipit.log')}\n`);
    return 1;
  }
};

process.exitCode = await main();
