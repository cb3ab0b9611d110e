/** Does one thing with a data folder, tells it in lines of JSON, and obeys lines on stdin. */
import { createInterface } from 'node:readline';
import { isPluginError } from '@pipit/core';
import { createFileStore, lockDataFolder, prepareDataFolder, startEmbeddedPostgres } from '../../src/index.js';

const [, , action, dataFolder = '', lockPatienceMs = '15000'] = process.argv;
const clock = { now: () => new Date() };
const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const tell = (line: object): void => console.log(JSON.stringify(line));
const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const order = async (): Promise<string> => {
  const { value, done } = await orders.next();
  return done ? 'end' : value;
};

const race = async (): Promise<void> => {
  tell({ prepared: true });
  await order();
  const lock = await lockDataFolder({ dataFolder, clock });
  await lock.recordUrl('http://127.0.0.1:4000');
  tell({ locked: process.pid });
  await order();
  await lock.release();
  tell({ released: true });
};

const postgres = async (): Promise<void> => {
  await prepareDataFolder(dataFolder);
  tell({ starting: true });
  const database = await startEmbeddedPostgres({ dataFolder, logger, lockPatienceMs: Number(lockPatienceMs) });
  tell({ started: { pid: database.pid, socketFolder: database.socketFolder, adopted: database.adopted } });
  if ((await order()) === 'die') {
    tell({ dying: true });
    process.kill(process.pid, 'SIGKILL');
  }
  await database.stop();
  tell({ stopped: true });
};

async function* endless() {
  for (let piece = 0; ; piece += 1) {
    if (piece === 64) tell({ writing: true });
    yield Buffer.alloc(64 * 1024, piece % 251);
    await new Promise((settle) => setImmediate(settle));
  }
}

const actions: Record<string, () => Promise<unknown>> = {
  race,
  postgres,
  put: () => createFileStore({ folder: dataFolder, clock }).put(endless()),
};

try {
  await actions[action ?? '']?.();
  process.exit(0);
} catch (error) {
  tell({ refused: isPluginError(error) ? { code: error.code, message: error.message, hint: error.hint } : String(error) });
  process.exit(1);
}
