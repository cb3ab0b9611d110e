import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

  it('is not fooled by a pid that is used again, nor by a reboot', async () => {
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

  it('waits for a sign of life from a holder in another container, and takes over when there is none', async () => {
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

  it('lets exactly one of many racers have a fresh folder, and one that a killed holder left', async () => {
    const dataFolder = await freshDataFolder();
    for (let round = 0; round < 3; round += 1) {
      const { racers, winners, losers } = await raceAll(dataFolder, 8);
      expect(winners).toHaveLength(1);
      expect(losers).toHaveLength(7);
      for (const loser of losers) expect(loser).toMatchObject({ code: 'DATA_FOLDER_IN_USE' });
      await Promise.all(racers.map((racer) => racer.killHard()));
    }
    expect((await readdir(join(dataFolder, 'run'))).filter((name) => name.startsWith('lock.'))).toHaveLength(1);
  });
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
