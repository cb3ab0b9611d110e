import { execFile, spawnSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** What pipit is compared with: program and Debian package. None of them starts a daemon. */
const PROGRAMS = { ansible: 'ansible-core', clush: 'clustershell', 'parallel-ssh': 'pssh', 'apt-ftparchive': 'apt-utils', gpg: 'gpg' };

const missingPackages = () =>
  Object.entries(PROGRAMS).flatMap(([program, name]) => (spawnSync('which', [program], { stdio: 'ignore' }).status === 0 ? [] : [name]));

/** Why the benchmark cannot be run here; undefined when it can. `installing`: what apt-get can bring is no reason. */
export const fleetUnavailable = async ({ installing }) => {
  const { labUnavailable } = await import('pipit-lab');
  const reason = await labUnavailable();
  if (reason !== undefined) return `no lab of real hosts can be made here: ${reason}`;
  const missing = missingPackages();
  if (installing || missing.length === 0) return undefined;
  return `what it compares with is not installed (${missing.join(', ')}); \`npm run bench -- fleet\` installs it with apt-get`;
};

/** Says what it installs before it does. */
export const installTools = () => {
  const missing = missingPackages();
  if (missing.length === 0) return;
  for (const argv of [
    ['apt-get', '-q', 'update'],
    ['apt-get', '-q', '-y', 'install', '--no-install-recommends', ...missing],
  ]) {
    console.log(`  ${argv.join(' ')}`);
    const { status, stderr } = spawnSync(argv[0], argv.slice(1), {
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`);
  }
};

const run = async (argv, env = {}) => {
  const [program, ...rest] = argv;
  try {
    return await execute(program, rest, { env: { ...process.env, ...env }, maxBuffer: 1e8 });
  } catch (error) {
    throw new Error(`${argv.join(' ')} ended with ${error.code}: ${`${error.stdout}\n${error.stderr}`.slice(-3_000)}`);
  }
};

/** Milliseconds that a call takes. */
export const timed = async (work) => {
  const from = performance.now();
  await work();
  return performance.now() - from;
};

/**
 * The tools over the same ssh settings, each as fast as it can be set: all hosts at once, Ansible with pipelining, without facts and without looking for
 * the hosts' Python.
 */
export const prepareTools = async ({ folder, sshConfigFile, hosts }) => {
  const hostFile = join(folder, 'hosts');
  const sockets = join(folder, 'ansible-sockets');
  await writeFile(hostFile, `${hosts.join('\n')}\n`);
  await writeFile(
    join(folder, 'ansible.cfg'),
    `[defaults]
inventory = ${hostFile}
forks = ${hosts.length}
gathering = explicit
interpreter_python = /usr/bin/python3
[ssh_connection]
pipelining = True
ssh_args = -F ${sshConfigFile} -o ControlMaster=auto -o ControlPersist=60s
control_path_dir = ${sockets}
`,
  );
  const ansible = { ANSIBLE_CONFIG: join(folder, 'ansible.cfg'), ANSIBLE_HOME: folder, ANSIBLE_NOCOLOR: '1' };
  const parallel = String(hosts.length);
  return {
    ansibleApt: (name, version) =>
      run(['ansible', 'all', '-m', 'apt', '-a', `name=${name}=${version} update_cache=yes dpkg_options=force-confold`], ansible),
    /** Its connections stay open: the next turn is to begin without. */
    closeAnsible: async () => {
      for (const name of await readdir(sockets).catch(() => []))
        await run(['ssh', '-F', sshConfigFile, '-o', `ControlPath=${join(sockets, name)}`, '-O', 'exit', 'closing']).catch(() => undefined);
    },
    clush: (script) => run(['clush', '-S', '-q', '-f', parallel, '-o', `-F ${sshConfigFile}`, '-w', hosts.join(','), script]),
    pssh: (script, { file = hostFile, atOnce = parallel, config = sshConfigFile } = {}) =>
      run(['parallel-ssh', '-h', file, '-p', String(atOnce), '-t', '0', '-x', `-F ${config}`, script]),
  };
};
