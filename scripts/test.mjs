// npm test: installs what is needed, builds, and runs every check. Ends with one line: N passed, N failed, N skipped.
// `npm test -- unit lint` runs only the checks of these names.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkPackages } from './check-packages.mjs';
import { installNode } from './install-node.mjs';
import { build, installDependencies, root } from './prepare.mjs';
import { checkNode, ensurePrograms, OPTIONAL_PROGRAMS, offerPrograms, RUN_PROGRAMS } from './requirements.mjs';

/** What only the tests need. */
const TEST_PROGRAMS = {
  curl: 'curl',
  useradd: 'passwd',
  ps: 'procps',
  aptly: 'aptly',
  gpgv: 'gpgv',
  // A real Jenkins comes as a gem and runs on Java 17.
  gem: 'ruby',
  javac: 'openjdk-17-jdk-headless',
  java: 'openjdk-17-jdk-headless',
  // FPM comes as a gem too; these are what it calls, and another day for it.
  rpmbuild: 'rpm',
  ar: 'binutils',
  faketime: 'faketime',
  // The example of a program as a plugin.
  python3: 'python3',
  // The lab's hosts.
  mmdebstrap: 'mmdebstrap',
  ip: 'iproute2',
  ssh: 'openssh-client',
  // Certificates for an agent of Consul that answers by https.
  openssl: 'openssl',
};

const temporary = mkdtempSync(join(tmpdir(), 'pipit-test-'));
const tally = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const skips = [];

const record = (name, outcome, note = '') => {
  tally[outcome] += 1;
  if (outcome === 'failed') failures.push(`${name}${note && `: ${note}`}`);
  if (outcome === 'skipped') skips.push(`${name}: ${note}`);
};

/** One command that passes or fails as a whole. */
const check = (name, argv, env = {}) => {
  console.log(`\n== ${name}`);
  const { status } = spawnSync(argv[0], argv.slice(1), { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  record(name, status === 0 ? 'passed' : 'failed', status === 0 ? '' : `exit ${status}`);
};

const bin = (name) => join(root, 'node_modules', '.bin', name);

const unit = () => {
  console.log('\n== unit');
  const summary = join(temporary, 'tests.json');
  const { status } = spawnSync(bin('vitest'), ['run', '--reporter=default', '--reporter=./test/summary-reporter.ts'], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PIPIT_TEST_SUMMARY: summary },
  });
  let results;
  try {
    results = JSON.parse(readFileSync(summary, 'utf8'));
  } catch (error) {
    record('unit', 'failed', `no summary: ${error.message}`);
    return;
  }
  for (const { name, outcome, note } of results) record(name, outcome, note);
  if (status !== 0 && failures.length === 0) record('unit', 'failed', `vitest exited with ${status}`);
};

const mainJob = (name, node) => check(name, [node, 'examples/main-job/dist/main.js', '--once'], { CI: 'true' });

const checks = {
  types: () => check('types', [bin('tsc'), '--noEmit']),
  lint: () => {
    check('lint (biome)', [bin('biome'), 'check', '.', '--diagnostic-level=warn', '--error-on-warnings']);
    check('lint (eslint)', [bin('eslint'), '--max-warnings', '0', 'packages', 'plugins']);
  },
  unused: () => check('unused code (knip)', [bin('knip'), '--no-progress']),
  packages: () => checkPackages({ root, temporary, record }),
  unit,
  'main-job': () => mainJob('main job', process.execPath),
  'main-job-node-24': () => {
    const { node, reason } = installNode(24, root);
    if (node === undefined) record('main job on Node 24', 'skipped', reason);
    else mainJob('main job on Node 24', node);
  },
};

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const unknown = wanted.filter((name) => !(name in checks));
if (unknown.length > 0) {
  console.error(`No check is called ${unknown.join(', ')}. There are: ${Object.keys(checks).join(', ')}.`);
  process.exit(2);
}

checkNode();
await ensurePrograms({ ...RUN_PROGRAMS, ...TEST_PROGRAMS });
await offerPrograms(OPTIONAL_PROGRAMS);
installDependencies();
build({ types: true });
try {
  for (const [name, run] of Object.entries(checks)) if (wanted.length === 0 || wanted.includes(name)) run();
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

if (skips.length > 0) console.log(`\nSkipped:\n${skips.map((line) => `  ${line}`).join('\n')}`);
if (failures.length > 0) console.log(`\nFailed:\n${failures.map((line) => `  ${line}`).join('\n')}`);
console.log(`\n${tally.passed} passed, ${tally.failed} failed, ${tally.skipped} skipped`);
process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0;
