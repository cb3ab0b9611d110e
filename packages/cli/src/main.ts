#!/usr/bin/env node
import { Console } from 'node:console';
import { createNodeWorld } from './node-world.js';
import { runCli } from './run-cli.js';

// Stdout is for the answer alone: what libraries print goes where logs go.
globalThis.console = new Console(process.stderr, process.stderr);

// A reader that has seen enough (`pipit runs | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

// What a command waits for may hold no event loop (a database that is not our child, a timer that is not to hold up an end). Node would then
// end with 13 ("unsettled top-level await") in the middle of it.
const MAX_TIMER_MS = 2 ** 31 - 1;
const alive = setInterval(() => undefined, MAX_TIMER_MS);
process.exitCode = await runCli(process.argv.slice(2), createNodeWorld()).finally(() => clearInterval(alive));
// What is left is what could not be closed, such as a connection to a database that hangs.
const LEFT_OVER_MS = 3_000;
setTimeout(() => process.exit(), LEFT_OVER_MS).unref();
