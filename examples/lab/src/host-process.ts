import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BOOT_SCRIPT } from './boot-script.js';
import { removeCgroup } from './cgroup.js';
import { type HostRecord, hostCgroup, hostFolder, hostNamespace, hostRoot, type LabRecord } from './lab-state.js';
import { type CommandOptions, type CommandResult, tryCommand } from './run-command.js';

const POLL_MS = 50;
/** Six hosts are up in 2 s on an idle machine; beside a full test run it takes many times that. */
const UP_MS = 120_000;
/** Longest wait for services to end before the power is cut. */
const POWEROFF_MS = 15_000;
const SSH_PORT = 22;
/** systemd's own signal for "power off". Source: systemd(1), SIGRTMIN+4. */
const SIGRTMIN_PLUS_4 = '38';

/** A process, told from a later one of the same number by when it began. */
interface ProcessRecord {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat. */
  readonly startTime: string;
}

const processFile = (lab: LabRecord, host: HostRecord): string => join(hostFolder(lab, host), 'init.json');

const startTimeOf = async (pid: number): Promise<string | undefined> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields === undefined || fields[0] === 'Z' ? undefined : fields[19];
};

/** The pid, on this machine, of the host's init; undefined when the host is not running. */
export const initPid = async (lab: LabRecord, host: HostRecord): Promise<number | undefined> => {
  const text = await readFile(processFile(lab, host), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { pid, startTime } = JSON.parse(text) as ProcessRecord;
  return (await startTimeOf(pid)) === startTime ? pid : undefined;
};

const consoleTail = async (lab: LabRecord, host: HostRecord): Promise<string> =>
  (await readFile(join(hostFolder(lab, host), 'console.log'), 'utf8').catch(() => '')).slice(-3000);

const waitUntil = async <T>(what: string, probe: () => Promise<T | undefined>, deadline: number, signal?: AbortSignal): Promise<T> => {
  for (;;) {
    const found = await probe();
    if (found !== undefined) return found;
    signal?.throwIfAborted();
    if (performance.now() > deadline) throw new Error(`Waited too long: ${what}`);
    await sleep(POLL_MS, undefined, { ...(signal && { signal }) });
  }
};

const answersSsh = (address: string): Promise<true | undefined> =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port: SSH_PORT });
    const end = (answer: true | undefined) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(500, () => end(undefined));
    socket.once('data', (data) => end(data.toString('latin1').startsWith('SSH-') ? true : undefined));
    socket.once('error', () => end(undefined));
    socket.once('close', () => end(undefined));
  });

/** Runs a command inside a running host, as root. */
export const execInHost = async (
  lab: LabRecord,
  host: HostRecord,
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> => {
  const pid = await initPid(lab, host);
  if (pid === undefined) throw new Error(`${host.name} is not running`);
  const enter = ['nsenter', `--target=${pid}`, '--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup', '--root', '--wd'];
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LANG: 'C.UTF-8', ...options.env };
  return tryCommand([...enter, '--', 'env', '-i', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...argv], options);
};

const launch = async (lab: LabRecord, host: HostRecord): Promise<number> => {
  const cgroup = hostCgroup(lab, host);
  await removeCgroup(cgroup);
  await mkdir(cgroup, { recursive: true });
  const console = await open(join(hostFolder(lab, host), 'console.log'), 'a');
  try {
    const inNamespaces = ['unshare', '--mount', '--pid', '--uts', '--ipc', '--cgroup', '--fork', '--kill-child'];
    const boot = ['sh', '-c', BOOT_SCRIPT, 'sh', hostRoot(lab, host), host.name];
    // The shell enters the cgroup itself: nothing of the host ever runs outside of it.
    const enter = ['-c', 'echo 0 > "$1/cgroup.procs" && shift && exec "$@"', 'sh', cgroup, 'ip', 'netns', 'exec', hostNamespace(lab, host)];
    const child = spawn('sh', [...enter, ...inNamespaces, ...boot], {
      stdio: ['ignore', console.fd, console.fd],
      detached: true,
      cwd: '/',
    });
    await once(child, 'spawn');
    child.unref();
    return child.pid ?? 0;
  } finally {
    await console.close();
  }
};

const findInit = async (wrapper: number): Promise<ProcessRecord | undefined> => {
  const children = await readFile(`/proc/${wrapper}/task/${wrapper}/children`, 'utf8').catch(() => '');
  const pid = Number(children.trim().split(' ')[0]);
  if (!pid) return undefined;
  const command = await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '');
  const startTime = await startTimeOf(pid);
  return command.startsWith('/sbin/init') && startTime !== undefined ? { pid, startTime } : undefined;
};

/** Waits until sshd answers and systemd has nothing more to start. */
const waitUntilUp = async (lab: LabRecord, host: HostRecord, deadline: number, signal?: AbortSignal): Promise<void> => {
  await waitUntil(`sshd of ${host.name}`, () => answersSsh(host.address), deadline, signal);
  await waitUntil(
    `systemd of ${host.name}`,
    async () => {
      const { stdout } = await execInHost(lab, host, ['systemctl', 'is-system-running'], { timeoutMs: UP_MS });
      return /^(running|degraded)/.test(stdout) ? true : undefined;
    },
    deadline,
    signal,
  );
};

/**
 * Starts a host that is not running and waits until it is up. Harmless when it runs.
 * @throws Error with the end of its console.
 */
export const startHost = async (
  lab: LabRecord,
  host: HostRecord,
  options: { readonly cut?: boolean; readonly signal?: AbortSignal } = {},
): Promise<void> => {
  if ((await initPid(lab, host)) !== undefined) return;
  const deadline = performance.now() + UP_MS;
  const wrapper = await launch(lab, host);
  try {
    const record = await waitUntil(
      `init of ${host.name}`,
      async () => {
        if ((await startTimeOf(wrapper)) === undefined) throw new Error(`${host.name} ended while it started`);
        return findInit(wrapper);
      },
      deadline,
      options.signal,
    );
    await writeFile(processFile(lab, host), JSON.stringify(record));
    if (!options.cut) await waitUntilUp(lab, host, deadline, options.signal);
  } catch (cause) {
    await killHost(lab, host);
    throw new Error(`${(cause as Error).message}. The console of ${host.name} ends with:\n${await consoleTail(lab, host)}`, { cause });
  }
};

/** A power cut. The disk, the address and the cable stay. Harmless when it does not run. */
export const killHost = async (lab: LabRecord, host: HostRecord): Promise<void> => {
  await removeCgroup(hostCgroup(lab, host));
  await rm(processFile(lab, host), { force: true });
};

/** Shuts a host down as its power button does; after 15 s the power is cut. */
export const stopHost = async (lab: LabRecord, host: HostRecord): Promise<void> => {
  const pid = await initPid(lab, host);
  if (pid !== undefined) {
    // Node knows no real-time signals.
    await tryCommand(['kill', `-${SIGRTMIN_PLUS_4}`, String(pid)]);
    const deadline = performance.now() + POWEROFF_MS;
    while (performance.now() < deadline && (await initPid(lab, host)) !== undefined) await sleep(POLL_MS);
  }
  await killHost(lab, host);
};
