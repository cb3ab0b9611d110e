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

process.exitCode = await runCli(process.argv.slice(2), createNodeWorld());
