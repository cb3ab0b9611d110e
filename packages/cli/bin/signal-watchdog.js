// @ts-check
// A worker thread, started by src/signal-watchdog.ts. A file of its own beside `src` and `dist`, so that both find it under one path.
import { writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

/** How long the main thread has to end the process itself after the second signal. */
const GRACE_MS = 1_000;
const STDERR = 2;

/** @type {{ readonly signals: readonly number[], readonly isTerminal: boolean }} */
const { signals, isTerminal } = workerData;

const MESSAGE = 'The event loop is blocked, so the second signal ends pipit by SIGKILL; what was under way goes on after the next start';
/** Source: pino's number of `error`. */
const ERROR_LEVEL = 50;

let heard = 0;

const end = () => {
  try {
    const time = new Date().toISOString();
    writeSync(STDERR, isTerminal ? `${MESSAGE}\n` : `${JSON.stringify({ level: ERROR_LEVEL, time, msg: MESSAGE })}\n`);
  } catch {
    // Nobody reads it any more; the process ends all the same.
  }
  process.kill(process.pid, 'SIGKILL');
};

const hear = () => {
  heard += 1;
  if (heard === 2) setTimeout(end, GRACE_MS);
};

/** @returns why signals cannot be heard here; undefined: they are */
const listen = () => {
  try {
    // Node gives `process.on('SIGTERM')` to the main thread only, but what stands behind it (libuv) serves every event loop. See docs/decisions/0007.
    // @ts-expect-error internal, and so without types
    const { Signal } = process.binding('signal_wrap');
    for (const signal of signals) {
      const handle = new Signal();
      handle.onsignal = hear;
      const failed = handle.start(signal);
      if (failed !== 0) return `signal ${signal} cannot be listened to (${failed})`;
      handle.ref?.();
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

parentPort?.postMessage({ cannot: listen() });
// Keeps this thread listening; it ends with the process.
setInterval(() => undefined, 2 ** 30);
