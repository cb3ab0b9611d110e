import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { fileSystemOf, makeFolder } from './folder.mjs';
import { median } from './statistics.mjs';

const SYNCS = 50;
const PAGE_BYTES = 8192;

/** How long this disk takes to make one page durable: what every commit waits for. */
const measureSync = (folder) => {
  const file = openSync(join(folder, 'sync'), 'w');
  const times = [];
  for (let index = 0; index < SYNCS; index += 1) {
    const from = performance.now();
    writeSync(file, Buffer.alloc(PAGE_BYTES, index));
    fdatasyncSync(file);
    times.push(performance.now() - from);
  }
  closeSync(file);
  return median(times);
};

/** One line about where the figures come from. */
export const describeMachine = async () => {
  const { folder, remove } = makeFolder();
  try {
    const type = fileSystemOf(folder);
    const memory = type === 'tmpfs' ? ' (IN MEMORY: commits cost nothing here; set PIPIT_BENCH_FOLDER to a disk)' : '';
    return (
      `${new Date().toISOString()}, Node ${process.version}, ${cpus().length} x ${cpus()[0]?.model.trim()}, load ${loadavg()[0]?.toFixed(1)}, ` +
      `${type}${memory}, one durable page write ${measureSync(folder).toFixed(2)} ms`
    );
  } finally {
    remove();
  }
};
