import { readdir, readFile } from 'node:fs/promises';
import { findCgroupRoot } from '../src/cgroup.js';
import { readLabRecord } from '../src/lab-state.js';
import { runCommand } from '../src/run-command.js';

const list = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);

/**
 * Processes that have one of these in their cgroup or their command line, as `PID COMMAND`. Not the ended ones that wait for this machine's own
 * init to read their exit code: they hold nothing any more, and when init reads it is its affair.
 */
const processesOf = async (words: readonly string[]): Promise<string[]> => {
  const pids = (await list('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
      const [cgroup, command, stat] = await Promise.all([read('cgroup'), read('cmdline'), read('stat')]);
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z' && parent === '1') return [];
      return words.some((word) => cgroup.includes(word) || command.includes(word)) ? [`${pid} ${command.replaceAll('\0', ' ')}`] : [];
    }),
  );
  return found.flat();
};

/** A way to look for all that a lab could leave on this machine: asked while it is up, used when it is down. */
export const labTraces = async (folder: string): Promise<() => Promise<readonly string[]>> => {
  const record = await readLabRecord(folder);
  if (record === undefined) throw new Error(`No lab in ${folder}`);
  const { token, bridge, subnet } = record;
  return async () => {
    const links = await runCommand(['ip', '-oneline', 'address']);
    return [
      ...(await runCommand(['ip', 'netns', 'list'])).split('\n').filter((line) => line.includes(token)),
      ...links.split('\n').filter((line) => line.includes(`pl${token}`) || line.includes(` ${bridge} `)),
      ...(await runCommand(['ip', 'route', 'show', 'table', 'all'])).split('\n').filter((line) => line.includes(subnet)),
      ...(await readFile('/proc/mounts', 'utf8')).split('\n').filter((line) => line.includes(folder) || line.includes(token)),
      ...(await list((await findCgroupRoot()) ?? '/nowhere')).filter((name) => name.includes(token)),
      ...(await processesOf([token, folder])),
      ...(await list(folder)).filter((name) => ['hosts', 'ssh', 'lab.json'].includes(name)),
    ];
  };
};
