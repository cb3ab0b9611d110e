import { constants } from 'node:fs';
import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import {
  listConfined,
  minimalEnvironment,
  openConfinedFile,
  openPlainFile,
  readConfinedText,
  readOpenFile,
  removeFolder,
  runCommand,
  writeConfined,
} from '../src/index.js';
import { temporaryFolder } from './temporary-folder.js';

const isRoot = process.getuid?.() === 0;
const SECRET = 'secret-of-somebody-else';
const MAX_BYTES = 1024;
/** nobody: an ordinary user that every Debian has. */
const ORDINARY_UID = 65_534;

/** A folder that code of a repository may write, beside one with a secret. */
let root: string;
let outside: string;
let secret: string;

beforeEach(async () => {
  const folder = await temporaryFolder();
  root = join(folder, 'work');
  outside = join(folder, 'outside');
  secret = join(outside, 'secret');
  await mkdir(join(root, 'sub'), { recursive: true });
  await mkdir(outside);
  await writeFile(secret, SECRET);
});

const fifo = async (path: string): Promise<void> => {
  await runCommand(['mkfifo', path], { cwd: '/', env: minimalEnvironment('/') });
};

const socket = async (path: string): Promise<void> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
};

/** What code of a repository may put where pipit reads `sub/file`. */
const TRAPS: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['a link', () => symlink(secret, join(root, 'sub/file'))],
  ['a relative link', () => symlink('../../outside/secret', join(root, 'sub/file'))],
  ['a link that means another file here than in a sandbox', () => symlink('/proc/self/cwd/package.json', join(root, 'sub/file'))],
  ['a link by an open file', () => symlink('/proc/self/fd/0', join(root, 'sub/file'))],
  ['a link to an endless device', () => symlink('/dev/zero', join(root, 'sub/file'))],
  ['a link that leads nowhere', () => symlink('nowhere', join(root, 'sub/file'))],
  ['a link to a file beside it', async () => symlink('../other', join(root, 'sub/file'))],
  ['a pipe', () => fifo(join(root, 'sub/file'))],
  ['a socket', () => socket(join(root, 'sub/file'))],
  ['a folder', () => mkdir(join(root, 'sub/file'))],
  [
    'a link in place of the parent',
    async () => {
      await rm(join(root, 'sub'), { recursive: true });
      await symlink(outside, join(root, 'sub'));
      await writeFile(join(outside, 'file'), SECRET);
    },
  ],
  [
    'a file in place of the parent',
    async () => {
      await rm(join(root, 'sub'), { recursive: true });
      await writeFile(join(root, 'sub'), '');
    },
  ],
];

describe('a file that code of a repository left', () => {
  it('is read when it is a plain file', async () => {
    await writeFile(join(root, 'sub/file'), 'mine');
    expect(await readConfinedText({ root, path: 'sub/file' }, MAX_BYTES)).toBe('mine');
    expect(await readConfinedText({ root, path: './sub//file' }, MAX_BYTES)).toBe('mine');
  });

  it('is undefined when there is none', async () => {
    expect(await readConfinedText({ root, path: 'sub/none' }, MAX_BYTES)).toBeUndefined();
    expect(await readConfinedText({ root, path: 'none/none' }, MAX_BYTES)).toBeUndefined();
    expect(await readConfinedText({ root: join(root, 'none'), path: 'none' }, MAX_BYTES)).toBeUndefined();
  });

  it.each(TRAPS)('is refused when it is %s', async (_name, set) => {
    await writeFile(join(root, 'other'), 'other');
    await set();
    const refused = { code: 'CONFINED_PATH_REFUSED', recovery: 'stop' };
    await expect(readConfinedText({ root, path: 'sub/file' }, MAX_BYTES)).rejects.toMatchObject(refused);
  });

  it.each(['../outside/secret', 'sub/../../outside/secret', '/etc/passwd', 'sub/\0', '', '.', 'a/'.repeat(200)])(
    'is refused by the path %j',
    async (path) => {
      await expect(openConfinedFile({ root, path })).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
    },
  );

  it('is refused when the root itself became a link', async () => {
    await rm(root, { recursive: true });
    await symlink(outside, root);
    await expect(openConfinedFile({ root, path: 'secret' })).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
  });

  it('is refused when it is larger than allowed, also when it is all holes, and when it grows while it is read', async () => {
    const path = join(root, 'sub/file');
    await writeFile(path, 'x'.repeat(MAX_BYTES));
    expect(await readConfinedText({ root, path: 'sub/file' }, MAX_BYTES)).toHaveLength(MAX_BYTES);
    await truncate(path, 2 ** 40);
    const tooLarge = { code: 'CONFINED_FILE_TOO_LARGE', recovery: 'stop' };
    await expect(readConfinedText({ root, path: 'sub/file' }, 2 ** 30)).rejects.toMatchObject(tooLarge);
    await truncate(path, 10);
    const file = await openConfinedFile({ root, path: 'sub/file' });
    if (file === undefined) throw new Error('no file');
    const reading = readOpenFile(file, 'it', MAX_BYTES);
    expect((await reading.next()).done).toBe(false);
    await writeFile(path, 'x'.repeat(MAX_BYTES + 1));
    await expect(reading.next()).rejects.toMatchObject(tooLarge);
  });

  it('does not wake the writer of a pipe that is refused', async () => {
    await fifo(join(root, 'sub/file'));
    await expect(openConfinedFile({ root, path: 'sub/file' })).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
    // Without a reader a writer that does not wait is told so.
    await expect(open(join(root, 'sub/file'), constants.O_WRONLY | constants.O_NONBLOCK)).rejects.toMatchObject({ code: 'ENXIO' });
  });

  it('may have a second name of its own', async () => {
    await writeFile(join(root, 'first'), 'mine');
    await link(join(root, 'first'), join(root, 'sub/file'));
    expect(await readConfinedText({ root, path: 'sub/file' }, MAX_BYTES)).toBe('mine');
  });

  it.runIf(isRoot)('is refused when it is a hard link of a file of somebody else', async () => {
    await link(secret, join(root, 'sub/file'));
    await chown(join(root, 'sub'), ORDINARY_UID, ORDINARY_UID);
    await expect(openConfinedFile({ root, path: 'sub/file' })).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
  });

  it('never gives the bytes of another file while a link, a folder and a file change places', async () => {
    const [mine, trap, place] = [join(root, 'mine'), join(root, 'trap'), join(root, 'place')];
    await mkdir(mine);
    await writeFile(join(mine, 'secret'), 'mine');
    await symlink(outside, trap);
    let swapping = true;
    const swap = (async () => {
      while (swapping) {
        await rename(mine, place).catch(() => undefined);
        await rename(place, mine).catch(() => undefined);
        await rename(trap, place).catch(() => undefined);
        await rename(place, trap).catch(() => undefined);
      }
    })();
    const seen = new Set<string | undefined>();
    for (let round = 0; round < 400; round += 1)
      seen.add(await readConfinedText({ root, path: 'place/secret' }, MAX_BYTES).catch((error: { code: string }) => error.code));
    swapping = false;
    await swap;
    seen.delete(undefined);
    expect([...seen].every((each) => each === 'mine' || each === 'CONFINED_PATH_REFUSED')).toBe(true);
  });
});

describe('a file that pipit writes among them', () => {
  const read = () => readFile(join(root, 'sub/file'), 'utf8');

  it('has exactly its mode, whatever the umask, and so have the folders made for it', async () => {
    for (const umask of [0o000, 0o077]) {
      const before = process.umask(umask);
      try {
        await writeConfined({ root, path: 'new/folder/file' }, 'text', { mode: 0o644, folderMode: 0o755 });
        await writeConfined({ root, path: 'private/file' }, 'text');
      } finally {
        process.umask(before);
      }
      const modes = await Promise.all(
        ['new', 'new/folder', 'new/folder/file', 'private', 'private/file'].map(
          async (path) => (await stat(join(root, path))).mode & 0o777,
        ),
      );
      expect(modes).toEqual([0o755, 0o755, 0o644, 0o700, 0o600]);
      await Promise.all(['new', 'private'].map((path) => rm(join(root, path), { recursive: true })));
    }
  });

  it('takes the place of a link and leaves what that led to', async () => {
    await symlink(secret, join(root, 'sub/file'));
    await writeConfined({ root, path: 'sub/file' }, 'mine');
    expect(await read()).toBe('mine');
    expect((await lstat(join(root, 'sub/file'))).isFile()).toBe(true);
    expect(await readFile(secret, 'utf8')).toBe(SECRET);
  });

  it('is refused behind a link, and leaves nothing there', async () => {
    await symlink(outside, join(root, 'link'));
    for (const path of ['link/file', 'link/new/file'])
      await expect(writeConfined({ root, path }, 'mine')).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
    expect(await readdir(outside)).toEqual(['secret']);
  });

  it('is refused in place of a folder, and a write that fails leaves what was there', async () => {
    await expect(writeConfined({ root, path: 'sub' }, 'mine')).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
    await writeConfined({ root, path: 'sub/file' }, 'first');
    const broken = async function* () {
      yield Buffer.from('second');
      throw new Error('cut');
    };
    await expect(writeConfined({ root, path: 'sub/file' }, broken())).rejects.toThrow('cut');
    expect(await read()).toBe('first');
    expect(await readdir(join(root, 'sub'))).toEqual(['file']);
  });
});

describe('a list of them', () => {
  const list = async (): Promise<readonly string[]> => {
    const found: string[] = [];
    for await (const entry of listConfined({ root, path: '' })) {
      found.push(`${entry.kind} ${entry.path}`);
      if (entry.kind === 'file') await (await entry.open()).close();
    }
    return found;
  };

  it('has all files and folders, sorted', async () => {
    await writeFile(join(root, 'sub/b'), '');
    await writeFile(join(root, 'sub/a'), '');
    await writeFile(join(root, 'z'), '');
    expect(await list()).toEqual(['folder sub', 'file sub/a', 'file sub/b', 'file z']);
  });

  it.each([
    ...TRAPS.filter(([name]) => !/a folder|in place of the parent/.test(name)),
    ['a name with a line break', () => writeFile(join(root, 'sub/a\nb'), '')],
  ] as const)('is refused with %s in it', async (_name, set) => {
    await set();
    await expect(list()).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
  });

  it('enters no link to a folder', async () => {
    await symlink(outside, join(root, 'link'));
    await expect(list()).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
  });

  it('is refused when folders have no end', async () => {
    await mkdir(join(root, 'd/'.repeat(100)), { recursive: true });
    await expect(list()).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
  });
});

describe('a folder that is removed', () => {
  it('is gone with all in it, and what its links lead to stays', async () => {
    await symlink(outside, join(root, 'link'));
    await symlink(secret, join(root, 'sub/file'));
    await fifo(join(root, 'pipe'));
    await removeFolder(root);
    await removeFolder(root);
    await expect(lstat(root)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readFile(secret, 'utf8')).toBe(SECRET);
  });

  it('is gone when its folders go deeper than a path can name', async () => {
    const deep = 'for (1..300) { mkdir "a" x 20; chdir "a" x 20 or die }';
    const { exitCode } = await runCommand(['perl', '-e', deep], { cwd: root, env: minimalEnvironment('/') });
    expect(exitCode).toBe(0);
    await removeFolder(root);
    await expect(lstat(root)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('is gone when folders in it are closed to their owner', async () => {
    await writeFile(join(root, 'sub/file'), '');
    await chmod(join(root, 'sub'), 0o000);
    await removeFolder(root);
    await expect(lstat(root)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('leaves the folder that a link in its place leads to', async () => {
    await rm(root, { recursive: true });
    await symlink(outside, root);
    await removeFolder(root);
    expect(await readFile(secret, 'utf8')).toBe(SECRET);
  });
});

it('opens a file at a path that a person chose, links followed, but nothing else than a plain file', async () => {
  await symlink(secret, join(root, 'link'));
  const file = await openPlainFile(join(root, 'link'));
  expect(await file?.readFile('utf8')).toBe(SECRET);
  await file?.close();
  expect(await openPlainFile(join(root, 'none'))).toBeUndefined();
  await fifo(join(root, 'pipe'));
  for (const path of ['/dev/zero', join(root, 'pipe'), root])
    await expect(openPlainFile(path)).rejects.toMatchObject({ code: 'CONFINED_PATH_REFUSED' });
});
