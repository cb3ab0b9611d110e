import { chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runCli } from '../src/run-cli.js';
import { createFakeApi } from './support/fake-api.js';
import { createFakeWorld } from './support/fake-world.js';

const PLUGIN = `
process.env.PIPIT_TEST_PLUGIN_RAN = 'yes';
export const plugin = undefined;
`;
const CONFIG = `
plugins: { mine: { uses: ./mine.mjs } }
pipelines:
  main: { repositories: [a], trigger: mine, ci: mine, packager: mine, repository: mine, discovery: mine, deployer: mine }
`;
const STRANGER = 4242;

const prepare = async (
  words: readonly string[],
  change: (folder: string) => Promise<unknown> = async () => undefined,
  environment = {},
) => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-trust-'));
  onTestFinished(async () => {
    Reflect.deleteProperty(process.env, 'PIPIT_TEST_PLUGIN_RAN');
    await rm(folder, { recursive: true, force: true });
  });
  await writeFile(join(folder, 'mine.mjs'), PLUGIN);
  await writeFile(join(folder, 'pipit.config.yaml'), CONFIG);
  await change(folder);
  const fake = createFakeWorld({ folder, environment: { PIPIT_DATA: join(folder, 'none'), ...environment } });
  const code = await runCli(words, fake.world);
  return { folder, code, err: fake.err(), out: fake.out(), hasRun: process.env.PIPIT_TEST_PLUGIN_RAN === 'yes' };
};

describe('code of the config file', () => {
  it.each([['check'], ['check', '--json'], ['schema'], ['doctor']])('is named before it runs, by %s %s', async (...words) => {
    const { folder, err, hasRun } = await prepare(words);
    expect(hasRun).toBe(true);
    expect(err).toContain(`Loading the plugin "./mine.mjs": code of ${join(folder, 'mine.mjs')}\n`);
  });
});

// Only root can make a file that is somebody else's.
describe.skipIf(process.getuid?.() !== 0)("somebody else's code (tested as root)", () => {
  it.each<[string, (folder: string) => Promise<unknown>, boolean?]>([
    ['the folder', (folder) => chown(folder, STRANGER, STRANGER), true],
    ['the config file', (folder) => chown(join(folder, 'pipit.config.yaml'), STRANGER, STRANGER), true],
    ['the plugin', (folder) => chown(join(folder, 'mine.mjs'), STRANGER, STRANGER)],
    [
      'what the plugin is a link to',
      async (folder) => {
        await mkdir(join(folder, 'his'));
        await writeFile(join(folder, 'his/mine.mjs'), PLUGIN);
        await chown(join(folder, 'his'), STRANGER, STRANGER);
        await rm(join(folder, 'mine.mjs'));
        await symlink('his/mine.mjs', join(folder, 'mine.mjs'));
      },
    ],
  ])('does not run when %s is his', async (_what, change, isSeenByServe = false) => {
    // A plugin is refused to `serve` by the runtime, which this world has not.
    for (const words of [['check'], ['schema'], ['doctor'], ...(isSeenByServe ? [['serve']] : [])]) {
      const { code, err, out, hasRun } = await prepare(words, change);
      expect(hasRun, words.join(' ')).toBe(false);
      expect(code, words.join(' ')).toBeGreaterThan(0);
      expect(`${err}${out}`, words.join(' ')).toMatch(/belongs to another user \(uid 4242\)/);
    }
  });

  it('runs with --trust, and under sudo when it is of the person who typed it', async () => {
    const change = (folder: string) => chown(folder, STRANGER, STRANGER);
    expect(await prepare(['check', '--trust'], change)).toMatchObject({ hasRun: true });
    Reflect.deleteProperty(process.env, 'PIPIT_TEST_PLUGIN_RAN');
    expect(await prepare(['check'], change, { SUDO_UID: String(STRANGER) })).toMatchObject({ hasRun: true });
  });

  it('gets no token of the caller by the address in a data folder of his, and root may use his own', async () => {
    const shown: (string | undefined)[] = [];
    const ask = async (environment: Readonly<Record<string, string>>) => {
      const folder = await mkdtemp(join(tmpdir(), 'pipit-trust-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      await chown(folder, STRANGER, STRANGER);
      const fake = createFakeWorld({
        folder,
        environment: { PIPIT_DATA: folder, ...environment },
        backend: {
          findServer: async () => ({ pid: 1, url: 'http://127.0.0.1:1' }),
          readOwnToken: async () => 'his',
          openHttpApi: async ({ token }) => {
            shown.push(token);
            return createFakeApi({ listApps: async () => [] });
          },
        },
      });
      return { code: await runCli(['apps'], fake.world), err: fake.err() };
    };
    expect(await ask({ PIPIT_TOKEN: 'mine' })).toMatchObject({ code: 2, err: expect.stringContaining('CLI_STRANGERS_FILE') });
    expect(await ask({})).toMatchObject({ code: 0 });
    expect(shown).toEqual(['his']);
  });
});
