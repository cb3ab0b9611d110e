import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Logger } from '@pipit/core';
import { plugin } from '@pipit/plugin-local';
import { createRuntime } from '@pipit/runtime';
import { createServer } from '@pipit/server';
import type { KillOrder, ServerSettings } from '../support/server-settings.js';

/** pipit as `pipit serve` runs it, with one thing more: it can be told to kill itself at a point that it passes. */
const settings = JSON.parse(process.argv[2] ?? '') as ServerSettings; // written by the test that starts this program

// Straight to the pipe: nothing may be lost in a buffer when this process is killed.
const say = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`);

let order: KillOrder | undefined = settings.kill;
let dying: NodeJS.Timeout | undefined;
createInterface({ input: process.stdin }).on('line', (line) => {
  clearTimeout(dying);
  order = JSON.parse(line) as KillOrder;
  say({ armed: order.point });
});

/** The same in every run: without the run's number. */
const pass = (point: string): void => {
  if (settings.tellPoints) say({ point });
  if (order?.point !== point) return;
  const { afterMs } = order;
  order = undefined;
  const die = (): void => {
    say({ killedAt: point });
    process.kill(process.pid, 'SIGKILL');
  };
  if (afterMs === 0) die();
  else dying = setTimeout(die, afterMs);
};

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

const { dataFolder, port, secretFile, inventory, repositories, rings, installLimit, takeOver = [] } = settings;
const limits = installLimit === undefined ? {} : { installLimit };
const runtime = await createRuntime({
  config: {
    dataFolder,
    server: { port },
    // The builds report to the test's counter on loopback.
    sandbox: { network: 'full' },
    plugins: { local: { plugin, with: { secret: { $file: secretFile }, inventory, repositories, ...limits } } },
    pipelines: {
      web: {
        repositories: ['*'],
        trigger: { use: 'local', branches: ['main'] },
        ci: 'local',
        packager: 'local',
        repository: 'local',
        discovery: 'local',
        deployer: 'local',
        rings,
        apps: Object.fromEntries(takeOver.map((app) => [app, { takeOver: true }])),
      },
    },
  },
  logLevel: 'debug',
  observer: {
    // `<run>:<stage>:<attempt>`
    onStep: ({ operationId, step, phase }) => pass(`${operationId.slice(operationId.indexOf(':') + 1)} ${step}: ${phase}`),
    onMove: ({ move, stage, phase }) => pass(`move ${move} ${stage}: ${phase}`),
  },
});
const server = createServer({ runtime, port, logger: silent, version: '0.0.0', clock: { now: () => new Date() } });
process.once('SIGTERM', () => {
  const stop = async (): Promise<void> => {
    await server.close();
    await runtime.stop();
    process.exit(0);
  };
  void stop();
});
await runtime.start();
const { url } = await server.listen();
say({ listening: url, token: runtime.firstToken ?? null });
