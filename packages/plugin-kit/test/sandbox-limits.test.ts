import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sandbox } from '@pipit/core';
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { createSandbox, minimalEnvironment, runCommand, type SandboxLimits, startDetached, stopDetached } from '../src/index.js';
import { type ControlGroups, controlGroupPrefix, findControlGroups, sweepControlGroups } from '../src/sandbox/control-groups.js';
import { temporaryFolder } from './temporary-folder.js';
import { waitUntil } from './wait-until.js';

const MIB = 1024 ** 2;
const LIMITS: SandboxLimits = { memoryBytes: 96 * MIB, tasks: 48, cpu: 1, diskBytes: 40 * MIB, files: 2_000, fileBytes: 24 * MIB };
const isRoot = process.getuid?.() === 0;

/** What bounds a process now, read from its control groups. */
const readGroupLimits = (pid: number): { memory?: number | undefined; tasks?: number | undefined } => {
  const found: { memory?: number | undefined; tasks?: number | undefined } = {};
  const read = (...paths: readonly string[]): number | undefined => {
    const path = paths.find(existsSync);
    return path === undefined ? undefined : Number(readFileSync(path, 'utf8'));
  };
  for (const line of readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n')) {
    const [, names = '', path = ''] = line.split(':');
    const folder = `/sys/fs/cgroup${names === '' ? '' : `/${names}`}${path}`;
    if (names === 'memory' || names === '') found.memory ??= read(`${folder}/memory.limit_in_bytes`, `${folder}/memory.max`);
    if (names === 'pids' || names === '') found.tasks ??= read(`${folder}/pids.max`);
  }
  return found;
};

/** The process that has this mark as an argument and no other process of the sandbox above it inside. */
const findMarked = (mark: string): number | undefined =>
  readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .find((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('sh\0-c\0') && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(mark)
        );
      } catch {
        return false; // it ended
      }
    });

/** Starts what does harm only after the limits of its process were read back from the kernel. */
const harm = async (
  sandbox: Sandbox,
  script: string,
): Promise<{ exitCode: number; stderr: string; stdout: string; report?: string; folder: string }> => {
  const scene = await temporaryFolder(isRoot ? '/var/tmp' : undefined);
  const folder = join(scene, 'work');
  await mkdir(folder);
  const report = join(scene, 'report');
  await sandbox.giveFolder(folder);
  const { argv, env } = sandbox.confine(['sh', '-c', `: ${scene}; while ! [ -e go ]; do sleep 0.02; done; ${script}`], { folder, report });
  // A limit that is not there ends the test before the harm, and this ends what waits for its word.
  const over = new AbortController();
  onTestFinished(() => over.abort());
  const ended = runCommand(argv, { cwd: folder, env, timeoutMs: 60_000, signal: over.signal });
  ended.catch(() => undefined);
  const pid = await waitUntil('the script waits', () => findMarked(scene));
  const limits = readGroupLimits(pid);
  expect(limits).toEqual({ memory: LIMITS.memoryBytes, tasks: LIMITS.tasks });
  expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(new RegExp(`^Max file size\\s+${LIMITS.fileBytes} `, 'm'));
  await writeFile(join(folder, 'go'), '');
  const result = await ended;
  return { ...result, folder, ...(existsSync(report) ? { report: readFileSync(report, 'utf8').trim() } : {}) };
};

let groups: ControlGroups | undefined;
let sandbox: Sandbox;
beforeAll(async () => {
  [groups] = await findControlGroups(isRoot);
  sandbox = await createSandbox({ hidden: [], limits: LIMITS });
});

const groupsLeft = (): readonly string[] =>
  (groups?.folders ?? []).flatMap((folder) =>
    readdirSync(folder).filter((name) => name.startsWith(`${controlGroupPrefix()}-${process.pid}`)),
  );

describe('a sandbox with control groups', () => {
  beforeEach(({ skip }) =>
    skip(
      sandbox.gaps.some(({ name }) => name === 'limits'),
      'this machine gives no control groups to this user',
    ),
  );

  it('ends a memory hog, and names the limit', async () => {
    const result = await harm(sandbox, `perl -e 'my $x = "a" x 400_000_000; print length $x'`);
    expect(result).toMatchObject({ exitCode: 137, stdout: '', report: 'memory limit 96 MiB: the kernel ended a process' });
    expect(result.stderr.trim().split('\n').at(-1)).toBe(`pipit: ${result.report}`);
  });

  it('holds a hog that writes to a folder of memory', async () => {
    const result = await harm(
      sandbox,
      'head -c 400000000 /dev/zero > /dev/shm/a; head -c 400000000 /dev/zero > /tmp/a; echo "$(du -cm /dev/shm /tmp | tail -1)"; false',
    );
    expect(result.exitCode).not.toBe(0);
    expect(Number(/^([0-9]+)/m.exec(result.stdout)?.[1] ?? '0')).toBeLessThanOrEqual(96);
  });

  it('holds a fork bomb, and ends all of it with its work', async () => {
    const bomb = 'i=0; while [ $i -lt 200 ]; do i=$((i + 1)); setsid sleep 54321 & done; exit 1';
    const result = await harm(sandbox, bomb);
    expect(result.report).toBe('limit of 48 tasks: a process or thread could not be started');
    const left = (await readdir('/proc')).filter(
      (pid) => existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('54321'),
    );
    expect(left).toEqual([]);
    expect(groupsLeft()).toEqual([]);
  });

  it.each([
    [
      'many files with content',
      'i=0; while :; do i=$((i + 1)); head -c 2000000 /dev/zero > f$i; sleep 0.02; done',
      'disk limit 40 MiB: the folders of the work hold more',
    ],
    [
      'files that were removed and are open',
      'exec 5>a 6>b 7>c; rm a b c; for fd in 5 6 7; do head -c 20000000 /dev/zero >&$fd; done; sleep 50',
      'disk limit 40 MiB: the folders of the work hold more',
    ],
    ['many empty files', 'i=0; while :; do i=$((i + 1)); : > f$i; done', 'limit of 2000 files: the folders of the work hold more'],
    ['one big file', 'exec head -c 50000000 /dev/zero > a', 'file limit 24 MiB: a process was ended that wrote a larger one'],
  ])('ends what fills the disk with %s', async (_what, script, report) => {
    const result = await harm(sandbox, script);
    expect(result.report).toBe(report);
    expect(result.exitCode).toBeGreaterThan(128);
  });

  it('lets a sparse file be, which takes nothing', async () => {
    expect(await harm(sandbox, 'truncate -s 20M a && truncate -s 20M b && truncate -s 20M c && sleep 1.2 && echo fine')).toMatchObject({
      exitCode: 0,
      stdout: 'fine\n',
    });
  });

  it('keeps input, output and the exit code as they are, and passes no signal settings on', async () => {
    const folder = await temporaryFolder(isRoot ? '/var/tmp' : undefined);
    await sandbox.giveFolder(folder);
    const { argv, env } = sandbox.confine(['sh', '-c', 'cat; echo err >&2; grep SigIgn /proc/self/status; exit 7'], { folder });
    const result = await runCommand(argv, { cwd: folder, env, input: 'in\n' });
    expect(result).toEqual({ exitCode: 7, stdout: 'in\nSigIgn:\t0000000000000000\n', stderr: 'err\n' });
    expect(groupsLeft()).toEqual([]);
  });

  it('removes the groups of a stopped task, and at the next start those of one that was killed', async () => {
    const scene = await temporaryFolder(isRoot ? '/var/tmp' : undefined);
    const folder = join(scene, 'work');
    await mkdir(folder);
    await sandbox.giveFolder(folder);
    const command = sandbox.confine(['sh', '-c', `: ${scene}; setsid sleep 300 & sleep 300`], { folder });
    const groupOf = async (): Promise<string> => {
      const pid = await waitUntil('it runs', () => findMarked(scene));
      return /(pipit-[0-9]+-[0-9]+-[0-9]+)/.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? 'none';
    };
    const left = (name: string): readonly string[] => (groups?.folders ?? []).filter((parent) => existsSync(join(parent, name)));

    await startDetached({ folder: join(scene, 'stopped'), ...command, cwd: '/' });
    const stopped = await groupOf();
    await stopDetached(join(scene, 'stopped'));
    await waitUntil('the group is gone', () => left(stopped).length === 0);

    await startDetached({ folder: join(scene, 'killed'), ...command, cwd: '/' });
    const killed = await groupOf();
    const supervisor = Number(killed.split('-')[2]);
    process.kill(supervisor, 'SIGKILL');
    await waitUntil('what it ran is gone', () => findMarked(scene) === undefined);
    await sweepControlGroups(groups?.folders ?? [], controlGroupPrefix());
    await waitUntil('the sweep removed it', async () => {
      await sweepControlGroups(groups?.folders ?? [], controlGroupPrefix());
      return left(killed).length === 0;
    });
  });
});

describe('a sandbox without control groups', () => {
  it('bounds each process, and says what that costs', async () => {
    const network = { mode: 'full', allow: [] } as const;
    const poor = await createSandbox({ hidden: [], limits: LIMITS, network, programs: { controlGroups: false } });
    expect(poor.gaps).toEqual([
      {
        name: 'limits',
        detail:
          'control groups are missing: memory is bounded for each process only, and not for all of a build together; tasks are bounded for the user of the sandbox only, so that builds share one bound; the CPU is not bounded',
        hint: expect.stringContaining('Delegate=yes'),
      },
    ]);
    const folder = await temporaryFolder(isRoot ? '/var/tmp' : undefined);
    await poor.giveFolder(folder);
    // Each harm is guarded by the limit that the shell itself reads first.
    const script = `
ulimit -d; prlimit --nproc --output=HARD --noheadings | tr -d ' '
[ "$(ulimit -d)" = ${LIMITS.memoryBytes / 1024} ] && perl -e 'my $x = "a" x 400_000_000; print "hog"' 2>/dev/null || echo "no hog"
[ "$(prlimit --nproc --output=HARD --noheadings | tr -d ' ')" = ${LIMITS.tasks} ] && sh -c 'i=0; while [ $i -lt 200 ]; do i=$((i + 1)); sleep 5 & done; echo bomb' 2>/dev/null || echo "no bomb"`;
    const { argv, env } = poor.confine(['sh', '-c', script], { folder });
    expect((await runCommand(argv, { cwd: folder, env })).stdout).toBe(`${LIMITS.memoryBytes / 1024}\n${LIMITS.tasks}\nno hog\nno bomb\n`);
    await rm(folder, { recursive: true, force: true });
  });

  it('still works where not even prlimit is there', async () => {
    const poor = await createSandbox({ hidden: [], limits: LIMITS, programs: { controlGroups: false, prlimit: '/nowhere/prlimit' } });
    expect(poor.gaps[0]?.detail).toContain('memory is not bounded');
    const folder = await temporaryFolder(isRoot ? '/var/tmp' : undefined);
    await poor.giveFolder(folder);
    const { argv, env } = poor.confine(['echo', 'fine'], { folder });
    expect(await runCommand(argv, { cwd: folder, env: { ...env, ...minimalEnvironment('/') } })).toMatchObject({ stdout: 'fine\n' });
  });
});
