import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createPaint, type TextOutput } from '@pipit/cli';
import { isPluginError } from '@pipit/core';
import { labUnavailable } from 'pipit-lab';
import { type Edits, tellStory } from 'pipit-main-job';
import { prepareGround, startPipit } from './showcase.js';

/** What the developer does in the story. */
const EDITS: Edits = {
  breakTest: { file: 'lib/tariff.pl', change: (text) => text.replace('cake => 400', 'cake => 428') },
  mendTest: { file: 'lib/tariff.pl', change: (text) => text.replace('cake => 428', 'cake => 400') },
  breakService: {
    file: 'bin/shop',
    change: (text) => text.replace('my $tariff = read_tariff();', "my $tariff = do '/etc/shop/tariff.pl' or die 'no tariff';"),
  },
};

const untilStopped = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

const run = async (output: TextOutput, once: boolean, signal: AbortSignal): Promise<void> => {
  const paint = createPaint(output.isLive && process.env.NO_COLOR === undefined);
  const folder = await mkdtemp('/var/tmp/pipit-showcase-');
  const ground = await prepareGround({ folder, say: (line) => output.write(`${line}\n`), signal });
  try {
    const log = createWriteStream(join(folder, 'pipit.log'), { flags: 'a' });
    const server = await startPipit(ground, { dataFolder: join(folder, 'data'), writeLog: (line) => log.write(line) });
    try {
      const api = server.runtime.api({ name: 'showcase', origin: 'cli' });
      await tellStory({ api, developer: ground.developer, edits: EDITS, output, paint, signal });
      output.write(paint.green('\nProduction runs the good release; neither of the two bad commits reached it.\n'));
      const { consul, jenkins, balancer, cloneUrl } = ground.services;
      output.write(`
pipit    ${server.url}   (config ${ground.configFile}, log ${join(folder, 'pipit.log')})
Consul   ${consul.url}   pipit/shop/app/production/version holds what production is to run
Jenkins  ${jenkins?.url}
git      ${cloneUrl}   (your clone: ${join(folder, 'shop')})
the app  ${balancer.url}/   with the header X-Canary: a canary
`);
      if (once) return;
      output.write('\nCtrl-C ends it, and takes all of it down.\n');
      await untilStopped(signal);
    } finally {
      await server.stop();
    }
  } finally {
    await ground.down();
    await rm(folder, { recursive: true, force: true });
  }
};

const main = async (): Promise<number> => {
  const reason = await labUnavailable();
  if (reason !== undefined) {
    process.stderr.write(`The showcase cannot run here: ${reason}\n`);
    return 2;
  }
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(130);
      process.stdout.write('\nEnding (once more to force) ...\n');
      stop.abort(new Error(`ended by ${name}`));
    });
  const output: TextOutput = {
    write: (text) => process.stdout.write(text),
    isLive: process.stdout.isTTY === true && process.env.CI === undefined,
    columns: process.stdout.columns ?? 120,
    rows: process.stdout.rows ?? 40,
  };
  try {
    await run(output, process.argv.includes('--once'), stop.signal);
    return 0;
  } catch (error) {
    if (stop.signal.aborted) return 130;
    process.stderr.write(`\nThe showcase failed: ${error instanceof Error ? error.message : String(error)}\n`);
    if (isPluginError(error) && error.hint !== undefined) process.stderr.write(`  ${error.code}. ${error.hint}\n`);
    return 1;
  }
};

process.exitCode = await main();
