import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plugin } from '@pipit/plugin-local';
import { describe, expect, it, onTestFinished } from 'vitest';
import { runCli } from '../src/run-cli.js';
import { createFakeWorld, type FakeWorldOptions } from './support/fake-world.js';

const newFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-init-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

const call = async (folder: string, words: readonly string[], options: FakeWorldOptions = {}) => {
  const fake = createFakeWorld({ folder, environment: {}, backend: { loadPlugin: () => async () => plugin }, ...options });
  const code = await runCli(words, fake.world);
  return { code, out: fake.out(), err: fake.err() };
};

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('init', () => {
  it('writes a config that check passes, an inventory, a schema, and a secret that only its user reads', async () => {
    const folder = await newFolder();
    const { code, out, err } = await call(folder, ['init', '--yes']);
    expect(code).toBe(0);
    for (const file of ['pipit.config.yaml', 'inventory.yaml', 'webhook-secret', 'pipit.schema.json']) expect(out).toContain(`+ ${file}`);
    expect(err).toContain('pipit check');
    expect(await modeOf(join(folder, 'webhook-secret'))).toBe(0o600);
    expect(await call(folder, ['check'])).toMatchObject({ code: 0, err: '' });
    const schema: unknown = JSON.parse(await readFile(join(folder, 'pipit.schema.json'), 'utf8'));
    expect(JSON.stringify(schema)).toContain('The YAML file that lists the hosts and their tags.');
  });

  it('asks on a terminal, again after a wrong answer, and writes the answers', async () => {
    const folder = await newFolder();
    const answers = ['not a name', 'shop/orders', '', '99999', '8080'];
    const asked: string[] = [];
    const { code, err } = await call(folder, ['init'], {
      ask: async (question, fallback) => {
        asked.push(question);
        return answers.shift() || fallback;
      },
    });
    expect(code).toBe(0);
    expect(asked).toHaveLength(5);
    expect(err).toContain('Expected a number from 1 to 65535.');
    const config = await readFile(join(folder, 'pipit.config.yaml'), 'utf8');
    expect(config).toContain('port: 8080');
    expect(config).toContain(`path: "${folder}/repositories/orders.git"`);
    expect(await readFile(join(folder, 'inventory.yaml'), 'utf8')).toContain('orders::app_canary');
    expect((await call(folder, ['check'])).code).toBe(0);
  });

  it('asks nothing with --yes, nor where nobody answers', async () => {
    const ask = async (): Promise<string> => {
      throw new Error('asked');
    };
    expect((await call(await newFolder(), ['init', '--yes'], { ask })).code).toBe(0);
    expect((await call(await newFolder(), ['init'])).code).toBe(0);
  });

  it('never overwrites, and says what is there', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, 'pipit.config.yaml'), 'mine: true\n');
    const { code, out } = await call(folder, ['init', '--yes']);
    expect(code).toBe(0);
    expect(out).toContain('= pipit.config.yaml  exists, left as it is');
    expect(await readFile(join(folder, 'pipit.config.yaml'), 'utf8')).toBe('mine: true\n');
  });

  it('writes executable scripts into a repository, and never overwrites them', async () => {
    const folder = await newFolder();
    expect((await call(folder, ['init', '--repository', '.'])).code).toBe(0);
    for (const script of ['cisetup', 'cibuild', 'post-inst']) expect(await modeOf(join(folder, 'script', script))).toBe(0o755);
    await writeFile(join(folder, 'script/cibuild'), '#!/bin/sh\nmake\n');
    const { out } = await call(folder, ['init', '--repository', '.', '--json']);
    expect(JSON.parse(out).files.map(({ state }: { state: string }) => state)).toEqual(Array(4).fill('exists'));
    expect(await readFile(join(folder, 'script/cibuild'), 'utf8')).toContain('make');
  });
});

describe('check', () => {
  it('exits with 2 and tells every problem with its place', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, 'pipit.config.yaml'), 'versoin: 1\npipelines: {}\nserver: { port: no }\n');
    const { code, out, err } = await call(folder, ['check']);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('pipit.config.yaml:1:1');
    expect(err).toContain('pipit.config.yaml:3:');
    const json = await call(folder, ['check', '--json']);
    expect(json.code).toBe(2);
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, problems: [{ line: 1 }, { line: 2 }, { line: 3 }] });
  });
});

describe('schema', () => {
  it('is made of an unfinished config too', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, 'pipit.config.yaml'), 'plugins: { mine: { uses: "./mine.js" } }\npipel');
    const { code, out } = await call(folder, ['schema']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toHaveProperty('properties.pipelines');
  });
});
