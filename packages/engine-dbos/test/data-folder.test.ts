import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DATA_FOLDER_MARKER, prepareDataFolder } from '../src/index.js';
import { temporaryFolder } from './support/temporary-folder.js';

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;
const isRoot = process.getuid?.() === 0;

describe('prepareDataFolder', () => {
  it('makes the folder, its parts and its marker', async () => {
    const folder = join(await temporaryFolder(), 'new', 'data');
    const prepared = await prepareDataFolder(folder);
    expect(await readdir(folder)).toEqual(
      expect.arrayContaining(['postgres', 'files', 'work', 'sources', 'instances', 'run', 'keys', DATA_FOLDER_MARKER]),
    );
    expect(JSON.parse(await readFile(join(folder, DATA_FOLDER_MARKER), 'utf8'))).toEqual({ format: 1 });
    expect(await modeOf(await prepared.instance('local'))).toBe(0o700);
  });

  it('keeps keys and files to itself and lets others pass the top only when it is root', async () => {
    const { folder, keys, files, work } = await prepareDataFolder(join(await temporaryFolder(), 'data'));
    expect(await Promise.all([folder, work, keys, files].map(modeOf))).toEqual(
      isRoot ? [0o711, 0o711, 0o700, 0o700] : [0o700, 0o700, 0o700, 0o700],
    );
  });

  it('closes a folder of secrets that was opened', async () => {
    const folder = join(await temporaryFolder(), 'data');
    const { keys } = await prepareDataFolder(folder);
    await import('node:fs/promises').then(({ chmod }) => chmod(keys, 0o777));
    await prepareDataFolder(folder);
    expect(await modeOf(keys)).toBe(0o700);
  });

  it('accepts its own folder again and goes on where a killed start left off', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, `${DATA_FOLDER_MARKER}.123`), '{');
    await prepareDataFolder(folder);
    await expect(prepareDataFolder(folder)).resolves.toMatchObject({ folder });
  });

  it('refuses a folder with other things in it, and changes nothing', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'thesis.tex'), 'x');
    const before = await modeOf(folder);
    await expect(prepareDataFolder(folder)).rejects.toMatchObject({
      code: 'DATA_FOLDER_NOT_PIPITS',
      message: expect.stringContaining('thesis.tex'),
    });
    expect(await readdir(folder)).toEqual(['thesis.tex']);
    expect(await modeOf(folder)).toBe(before);
  });

  it.each(['{"format":2}', '{"format":"1"}', '{', 'null'])('refuses a folder whose marker says %s', async (marker) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, DATA_FOLDER_MARKER), marker);
    await expect(prepareDataFolder(folder)).rejects.toMatchObject({ code: 'DATA_FOLDER_FORMAT_UNKNOWN' });
  });

  it('says that a file cannot be a data folder', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), '');
    await expect(prepareDataFolder(join(folder, 'file', 'data'))).rejects.toMatchObject({ code: 'DATA_FOLDER_NOT_WRITABLE' });
    await mkdir(join(folder, 'empty'));
    await expect(prepareDataFolder(join(folder, 'empty'))).resolves.toBeDefined();
  });
});
