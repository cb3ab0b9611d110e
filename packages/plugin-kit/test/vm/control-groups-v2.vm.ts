import { existsSync } from 'node:fs';
import { chmod, copyFile, cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { minimalEnvironment, runCommand } from '../../src/index.js';
import { WORK_SCRIPT } from '../../src/sandbox/work-script.js';

/** In software a machine of this size starts in 10 s and is done in a minute. */
const MACHINE_TIMEOUT_MS = 300_000;
const PROGRAMS = ['bash', 'mkdir', 'rmdir', 'cat', 'grep', 'tr', 'du', 'stat', 'sort', 'sleep', 'head', 'ln', 'mount'];
/** Outside of the repository: the kernel is large, and the same each time. */
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'pipit-vm');

const run = async (argv: readonly string[], cwd: string): Promise<string> => {
  const { exitCode, stdout, stderr } = await runCommand(argv, { cwd, env: minimalEnvironment(cwd), timeoutMs: MACHINE_TIMEOUT_MS });
  if (exitCode !== 0) throw new Error(`${argv.join(' ')}: ${stderr}`);
  return stdout;
};

/** Debian's kernel for virtual machines, unpacked once. */
const findKernel = async (): Promise<string> => {
  const boot = join(cache, 'kernel', 'boot');
  const found = existsSync(boot) ? (await readdir(boot)).find((name) => name.startsWith('vmlinuz')) : undefined;
  if (found !== undefined) return join(boot, found);
  await mkdir(cache, { recursive: true });
  const depends = await run(['apt-cache', 'depends', 'linux-image-cloud-amd64'], cache);
  const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (name === undefined) throw new Error('apt knows no kernel for virtual machines: apt-get update');
  await run(['apt-get', 'download', name], cache);
  const deb = (await readdir(cache)).find((file) => file.startsWith(`${name}_`)) ?? '';
  await run(['dpkg-deb', '--extract', deb, 'kernel'], cache);
  return findKernel();
};

/** A root of a few programs of this machine and their libraries, as the kernel unpacks it. */
const makeRoot = async (folder: string): Promise<string> => {
  const root = join(folder, 'root');
  for (const name of ['bin', 'proc', 'sys', 'dev', 'tmp']) await mkdir(join(root, name), { recursive: true });
  for (const name of PROGRAMS) {
    const path = (await run(['which', name], folder)).trim();
    await copyFile(path, join(root, 'bin', name));
    for (const [library] of (await run(['ldd', path], folder)).matchAll(/\/\S+/g)) {
      await mkdir(join(root, dirname(library)), { recursive: true });
      await cp(library, join(root, library), { dereference: true });
    }
  }
  await copyFile((await run(['which', 'busybox'], folder)).trim(), join(root, 'bin', 'busybox'));
  await symlink('busybox', join(root, 'bin', 'poweroff'));
  await copyFile(fileURLToPath(new URL('init.sh', import.meta.url)), join(root, 'init'));
  await chmod(join(root, 'init'), 0o755);
  await writeFile(join(root, 'work.sh'), WORK_SCRIPT);
  await run(['sh', '-c', 'cd root && find . | cpio --quiet -o -H newc | gzip -1 > ../root.gz'], folder);
  return join(folder, 'root.gz');
};

let folder: string;
let said: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pipit-vm-'));
  const machine = ['qemu-system-x86_64', '-m', '512', '-nographic', '-no-reboot', '-kernel', await findKernel()];
  const append = 'console=ttyS0 quiet loglevel=0 panic=-1';
  said = (await run([...machine, '-initrd', await makeRoot(folder), '-append', append], folder)).replaceAll('\r', '');
}, MACHINE_TIMEOUT_MS);
afterAll(() => rm(folder, { recursive: true, force: true }));

const part = (name: string): readonly string[] => (said.split(`== ${name}\n`)[1]?.split('== ')[0] ?? '').trim().split('\n');

it('sets every limit', () => {
  expect(part('limits')).toEqual(['memory.max 67108864', 'memory.swap.max 0', 'pids.max 20', 'cpu.max 50000 100000', 'exit 3']);
});

it('ends a memory hog, a fork bomb and a disk filler, and names the limits', () => {
  expect(part('memory')).toEqual(['pipit: memory limit 64 MiB: the kernel ended a process', 'exit 137']);
  expect(part('tasks')).toEqual(['pipit: limit of 20 tasks: a process or thread could not be started']);
  expect(part('disk')).toEqual(['pipit: disk limit 20000000 bytes: the folders of the work hold more', 'exit 137']);
});

it('leaves neither a process nor a group', () => {
  expect(part('left')).toEqual(['']);
  expect(said).toContain('== end');
});
