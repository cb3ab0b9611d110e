import { spawnSync } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { lockDataFolder, prepareDataFolder, readDataFolderOwner } from '../src/index.js';
import { buildProgram, runProgram } from './support/program.js';
import { systemClock as clock } from './support/quiet-logger.js';
import { temporaryFolder } from './support/temporary-folder.js';

let program: Awaited<ReturnType<typeof buildProgram>>;
beforeAll(async () => {
  program = await buildProgram('data-folder');
});
afterAll(() => program.remove());

const freshDataFolder = async (): Promise<string> => (await prepareDataFolder(join(await temporaryFolder(), 'data'))).folder;

const startRacer = async (dataFolder: string) => {
  const racer = runProgram(program.path, ['race', dataFolder]);
  await racer.next('prepared');
  return racer;
};

/** What became of each racer after the starting shot. */
const raceAll = async (dataFolder: string, count: number) => {
  const racers = await Promise.all(Array.from({ length: count }, () => startRacer(dataFolder)));
  for (const racer of racers) racer.send('go');
  const outcomes = await Promise.all(racers.map((racer) => racer.nextOf(['locked', 'refused'])));
  return {
    racers,
    winners: outcomes.filter((outcome) => 'locked' in outcome),
    losers: outcomes.filter((outcome) => 'refused' in outcome).map((outcome) => outcome.refused),
  };
};

const lockFile = async (dataFolder: string): Promise<string> => {
  const names = (await readdir(join(dataFolder, 'run'))).filter((name) => name.startsWith('lock.'));
  return join(dataFolder, 'run', names.sort().at(-1) ?? '');
};

const editRecord = async (dataFolder: string, changes: Readonly<Record<string, unknown>>): Promise<void> => {
  const path = await lockFile(dataFolder);
  const record = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...record, ...changes }));
};

/** As on a system without flock(1); for programs that are started too. */
const takeFlockAway = (): void => {
  vi.stubEnv('PATH', '/nonexistent');
  onTestFinished(() => void vi.unstubAllEnvs());
};

/** Why there are no namespaces of our own here; undefined: there are. */
const noNamespaces = ((): string | undefined => {
  const { status, stderr, error } = spawnSync('unshare', [...ownNamespaces(), 'true'], { encoding: 'utf8' });
  return status === 0 ? undefined : `unshare: ${error?.message ?? stderr.trim()}`;
})();

function ownNamespaces(): readonly string[] {
  return [...(process.getuid?.() === 0 ? [] : ['--map-root-user']), '--pid', '--mount', '--fork', '--mount-proc', '--kill-child'];
}

describe('the lock of the kernel', () => {
  it('keeps the folder for a holder that is frozen and seems to be elsewhere', async () => {
    const dataFolder = await freshDataFolder();
    const holder = await startRacer(dataFolder);
    holder.send('go');
    const pid = await holder.next<number>('locked');
    process.kill(pid, 'SIGSTOP');
    // As a container sees it: another host, another pid namespace, and no heartbeat comes.
    await editRecord(dataFolder, { host: 'frozen', pidNamespace: 'pid:[1]' });
    await expect(lockDataFolder({ dataFolder, clock })).rejects.toMatchObject({
      code: 'DATA_FOLDER_IN_USE',
      message: expect.stringContaining(`pipit process ${pid} on frozen`),
    });
    process.kill(pid, 'SIGCONT');
    await holder.killHard();
    const next = await lockDataFolder({ dataFolder, clock });
    expect(next.unguarded).toBeUndefined();
    await next.release();
  });

  it.skipIf(noNamespaces !== undefined)(
    `keeps it against another pid and mount namespace, from both sides${noNamespaces === undefined ? '' : ` (skipped: ${noNamespaces})`}`,
    async () => {
      const dataFolder = await freshDataFolder();
      const inside = runProgram(program.path, ['race', dataFolder], ['unshare', ...ownNamespaces()]);
      await inside.next('prepared');
      inside.send('go');
      await inside.next('locked');
      await expect(lockDataFolder({ dataFolder, clock })).rejects.toMatchObject({ code: 'DATA_FOLDER_IN_USE' });
      inside.send('release');
      await inside.next('released');
      const outside = await lockDataFolder({ dataFolder, clock });
      const second = runProgram(program.path, ['race', dataFolder], ['unshare', ...ownNamespaces()]);
      await second.next('prepared');
      second.send('go');
      expect(await second.next('refused')).toMatchObject({ code: 'DATA_FOLDER_IN_USE' });
      await outside.release();
    },
  );

  it('is not lost with the files that name its holder', async () => {
    const dataFolder = await freshDataFolder();
    const lock = await lockDataFolder({ dataFolder, clock });
    await rm(join(dataFolder, 'run'), { recursive: true });
    await expect(lockDataFolder({ dataFolder, clock })).rejects.toMatchObject({
      code: 'DATA_FOLDER_IN_USE',
      hint: expect.stringContaining('fuser -v'),
    });
    await lock.release().catch(() => undefined); // its file is gone
    await (await lockDataFolder({ dataFolder, clock })).release();
  });

  it('is free at once when its holder was killed, whatever lives under the name that it wrote', async () => {
    const dataFolder = await freshDataFolder();
    const killed = await startRacer(dataFolder);
    killed.send('go');
    await killed.next('locked');
    await killed.killHard();
    const { started } = JSON.parse(await readFile(await lockFile(dataFolder), 'utf8')) as { started: string };
    expect(started).not.toBe('');
    // Its pid is now the one of a process that lives: our own.
    const stat = await readFile('/proc/self/stat', 'utf8');
    await editRecord(dataFolder, { pid: process.pid, started: stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] });
    await (await lockDataFolder({ dataFolder, clock })).release();
  });

  it('is done without, and says so, where there is no flock', async () => {
    takeFlockAway();
    const dataFolder = await freshDataFolder();
    const lock = await lockDataFolder({ dataFolder, clock });
    expect(lock.unguarded).toContain('flock (of util-linux) is not installed');
    await expect(lockDataFolder({ dataFolder, clock })).rejects.toMatchObject({ code: 'DATA_FOLDER_IN_USE' });
    await lock.release();
  });
});

describe('lockDataFolder', () => {
  it('refuses a second holder, naming the first, its start, its address and what to do', async () => {
    const dataFolder = await freshDataFolder();
    const first = await startRacer(dataFolder);
    first.send('go');
    const pid = await first.next<number>('locked');
    const second = lockDataFolder({ dataFolder, clock });
    await expect(second).rejects.toMatchObject({
      code: 'DATA_FOLDER_IN_USE',
      recovery: 'stop',
      hint: expect.stringContaining(`kill ${pid}`),
    });
    await expect(second).rejects.toThrow(new RegExp(`process ${pid} on \\S+ since 20\\d\\d-.*Z, serving http://127.0.0.1:4000`));
  });

  it('is free again after a release, and after its holder was killed', async () => {
    const dataFolder = await freshDataFolder();
    const lock = await lockDataFolder({ dataFolder, clock });
    await lock.release();
    const killed = await startRacer(dataFolder);
    killed.send('go');
    await killed.next('locked');
    await killed.killHard();
    const again = await lockDataFolder({ dataFolder, clock });
    await again.release();
  });

  it('is not fooled by a pid that is used again, nor by a reboot, without the kernel', async () => {
    takeFlockAway();
    const dataFolder = await freshDataFolder();
    const lock = await lockDataFolder({ dataFolder, clock });
    const name = (await readdir(join(dataFolder, 'run'))).find((each) => each.startsWith('lock.')) ?? '';
    const path = join(dataFolder, 'run', name);
    const record = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await expect(lockDataFolder({ dataFolder, clock })).rejects.toMatchObject({ code: 'DATA_FOLDER_IN_USE' });
    // The same pid, but a process that began at another time: a lock of one that is gone.
    await writeFile(path, JSON.stringify({ ...record, started: '1' }));
    expect(await readDataFolderOwner(dataFolder)).toBeUndefined();
    const second = await lockDataFolder({ dataFolder, clock });
    await lock.release(); // of a lock that others hold by now: it must not free theirs
    await expect(lockDataFolder({ dataFolder, clock })).rejects.toMatchObject({ code: 'DATA_FOLDER_IN_USE' });
    await second.release();
    const third = await lockDataFolder({ dataFolder, clock });
    const highest =
      (await readdir(join(dataFolder, 'run')))
        .filter((each) => each.startsWith('lock.'))
        .sort()
        .at(-1) ?? '';
    await writeFile(join(dataFolder, 'run', highest), JSON.stringify({ ...record, bootId: 'another boot' }));
    await (await lockDataFolder({ dataFolder, clock })).release();
    await third.release();
  });

  it('without the kernel, waits for a sign of life from a holder in another container, and takes over when there is none', async () => {
    takeFlockAway();
    const dataFolder = await freshDataFolder();
    const lock = await lockDataFolder({ dataFolder, clock });
    const path = join(dataFolder, 'run', 'lock.1');
    const record = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await writeFile(path, JSON.stringify({ ...record, host: 'elsewhere' }));
    // This process still touches it, as a holder elsewhere would.
    await expect(lockDataFolder({ dataFolder, clock })).rejects.toMatchObject({
      code: 'DATA_FOLDER_IN_USE',
      message: expect.stringContaining('elsewhere'),
    });
    await lock.release();
    await writeFile(path, JSON.stringify({ ...record, host: 'elsewhere' }));
    await (await lockDataFolder({ dataFolder, clock })).release();
  });

  it.each(['with', 'without'])(
    '%s the kernel, lets exactly one of many racers have a fresh folder, and one that a killed holder left',
    async (how) => {
      if (how === 'without') takeFlockAway();
      const dataFolder = await freshDataFolder();
      for (let round = 0; round < 3; round += 1) {
        const { racers, winners, losers } = await raceAll(dataFolder, 8);
        expect(winners).toHaveLength(1);
        expect(losers).toHaveLength(7);
        for (const loser of losers) expect(loser).toMatchObject({ code: 'DATA_FOLDER_IN_USE' });
        await Promise.all(racers.map((racer) => racer.killHard()));
      }
      expect((await readdir(join(dataFolder, 'run'))).filter((name) => name.startsWith('lock.'))).toHaveLength(1);
    },
  );
});

describe('readDataFolderOwner', () => {
  it('tells who serves the folder and where, and nothing once the holder was killed', async () => {
    const dataFolder = await freshDataFolder();
    expect(await readDataFolderOwner(dataFolder)).toBeUndefined();
    expect(await readDataFolderOwner(join(dataFolder, 'nowhere'))).toBeUndefined();
    const holder = await startRacer(dataFolder);
    holder.send('go');
    const pid = await holder.next<number>('locked');
    expect(await readDataFolderOwner(dataFolder)).toMatchObject({ pid, url: 'http://127.0.0.1:4000', since: expect.stringMatching(/Z$/) });
    await holder.killHard();
    expect(await readDataFolderOwner(dataFolder)).toBeUndefined();
  });

  it('tells nothing after a release', async () => {
    const dataFolder = await freshDataFolder();
    const lock = await lockDataFolder({ dataFolder, clock });
    expect(await readDataFolderOwner(dataFolder)).toMatchObject({ pid: process.pid });
    await lock.release();
    expect(await readDataFolderOwner(dataFolder)).toBeUndefined();
  });
});
