// What pipit's local plugin and its tests need of the machine, and how it gets there. No dependencies: this runs before anything is installed.
import { execFileSync, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline/promises';

/** Programs, with the Debian package that brings each. */
export const RUN_PROGRAMS = {
  git: 'git',
  'dpkg-deb': 'dpkg',
  'apt-get': 'apt',
  'apt-ftparchive': 'apt-utils',
  gpg: 'gnupg',
  bwrap: 'bubblewrap',
  setpriv: 'util-linux',
  tar: 'tar',
};

/** Programs that bound what the code of repositories may use and reach. Without them pipit runs, and `pipit doctor` says what that costs. */
export const OPTIONAL_PROGRAMS = {
  prlimit: 'util-linux',
  slirp4netns: 'slirp4netns',
  nft: 'nftables',
};

const MIN_NODE = [20, 19];

export const checkNode = () => {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1])) return;
  console.error(`pipit needs Node ${MIN_NODE.join('.')} or newer; this is ${process.versions.node}.`);
  process.exit(2);
};

const PATH = `${process.env.PATH ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`;
const has = (program) => spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', program], { env: { ...process.env, PATH } }).status === 0;

const mayAsk = () => process.stdin.isTTY === true && process.stdout.isTTY === true && process.env.CI === undefined;

const sudoWithoutPassword = () => has('sudo') && spawnSync('sudo', ['-n', 'true']).status === 0;

/** Runs apt-get as root, in whatever way is allowed; false when none is. */
const installPackages = async (packages) => {
  const command = ['apt-get', 'install', '-y', '--no-install-recommends', ...packages];
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const run = (prefix) => {
    console.log(`Installing ${packages.join(' ')} (${[...prefix, ...command].join(' ')}) ...`);
    const [program, ...rest] = [...prefix, 'apt-get', 'update', '-qq'];
    execFileSync(program, rest, { stdio: ['ignore', 'ignore', 'inherit'], env });
    const [installer, ...installArguments] = [...prefix, ...command];
    execFileSync(installer, installArguments, { stdio: ['ignore', 'ignore', 'inherit'], env });
  };
  if (process.getuid?.() === 0) {
    run([]);
    return true;
  }
  if (sudoWithoutPassword()) {
    run(['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive']);
    return true;
  }
  if (has('sudo') && mayAsk()) {
    const lines = createInterface({ input: process.stdin, output: process.stdout });
    const answer = await lines.question(`pipit needs ${packages.join(' ')}. Install with sudo? [Y/n] `);
    lines.close();
    if (/^(y|yes|)$/i.test(answer.trim())) {
      run(['sudo', 'env', 'DEBIAN_FRONTEND=noninteractive']);
      return true;
    }
  }
  return false;
};

const packagesMissing = (programs) => [...new Set(Object.entries(programs).flatMap(([program, name]) => (has(program) ? [] : [name])))];

/** Installs the programs if that may be done without a question; says so and goes on if not. */
export const offerPrograms = async (programs) => {
  const missing = packagesMissing(programs);
  if (missing.length === 0) return;
  const mayInstall = has('apt-get') && (process.getuid?.() === 0 || sudoWithoutPassword());
  const installed = mayInstall && (await installPackages(missing).catch(() => false));
  if (!installed) console.warn(`Not installed, and pipit goes on without: ${missing.join(', ')}. \`pipit doctor\` says what that costs.`);
};

/** Makes sure that the programs are there; ends with one clear line when something may not be installed without asking. */
export const ensurePrograms = async (programs) => {
  const missing = packagesMissing(programs);
  if (missing.length === 0) return;
  if (!has('apt-get')) {
    console.error(
      `pipit needs ${missing.join(', ')} and this machine has no apt-get: install them as your system does, then run this again.`,
    );
    process.exit(2);
  }
  let installed = false;
  try {
    installed = await installPackages(missing);
  } catch (error) {
    console.error(`Installing failed: ${error.message}`);
  }
  const still = Object.entries(programs).filter(([program]) => !has(program));
  if (installed && still.length === 0) return;
  console.error(`Please run this, then start again:  sudo apt-get install -y ${missing.join(' ')}`);
  process.exit(2);
};

/** The pnpm that package.json names, by npx: nothing is installed globally. */
export const pnpm = (packageManager, argv, options = {}) =>
  execFileSync('npx', ['--yes', packageManager, ...argv], { stdio: 'inherit', ...options });
