// npm run bench: builds what is not built, then runs every benchmark. `npm run bench -- intake idle` runs those; `--quick` takes small sizes.
// It prints and never fails on a figure: ratios say something on any machine, times only on this one.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describeMachine } from './support/machine.mjs';

const root = new URL('..', import.meta.url).pathname;
const BENCHMARKS = ['intake', 'engine', 'rollout', 'idle', 'fleet'];
/** Whose built code is measured. */
const PACKAGES = ['core', 'plugin-kit', 'pipeline', 'config', 'engine-dbos', 'runtime', 'server', 'cli'].map((name) => `packages/${name}`);
const MORE = ['plugins/local', 'plugins/ssh', 'examples/lab'];

const words = process.argv.slice(2);
const wanted = words.filter((word) => !word.startsWith('-'));
const unknown = wanted.filter((name) => !BENCHMARKS.includes(name));
if (unknown.length > 0) {
  console.error(`No benchmark is called ${unknown.join(', ')}. There are: ${BENCHMARKS.join(', ')}.`);
  process.exit(2);
}

const newest = (folder) =>
  Math.max(
    0,
    ...readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) =>
      entry.isFile() ? statSync(join(entry.parentPath, entry.name)).mtimeMs : 0,
    ),
  );

const isBuilt = (folder) => {
  try {
    return statSync(join(root, folder, 'dist', 'index.js')).mtimeMs >= newest(join(root, folder, 'src'));
  } catch {
    return false; // never built
  }
};

if (![...PACKAGES, ...MORE].every(isBuilt)) {
  const { build, installDependencies } = await import('../scripts/prepare.mjs');
  installDependencies();
  build({ types: false });
}

console.log(await describeMachine());
/** It needs root and installs programs: only who names it gets that. */
const withoutFleet =
  wanted.length === 0 ? await (await import('./support/fleet-tools.mjs')).fleetUnavailable({ installing: false }) : undefined;
if (withoutFleet !== undefined) console.log(`fleet is left out: ${withoutFleet}`);
const chosen = wanted.length > 0 ? wanted : BENCHMARKS.filter((name) => name !== 'fleet' || withoutFleet === undefined);
let failed = false;
for (const name of BENCHMARKS.filter((each) => chosen.includes(each))) {
  // Each in a process of its own: DBOS allows one engine a process, and memory of one must not weigh on the next.
  const file = new URL(`${name}.mjs`, import.meta.url).pathname;
  const { status } = spawnSync(process.execPath, [file, ...words.filter((word) => word.startsWith('-'))], { stdio: 'inherit' });
  if (status !== 0) failed = true;
}
// Only a benchmark that broke: an aim that is not met is an answer.
process.exitCode = failed ? 1 : 0;
