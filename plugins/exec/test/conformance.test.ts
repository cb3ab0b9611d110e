import { readFile } from 'node:fs/promises';
import { testPlugin } from '@pipit/plugin-testing';
import { afterAll, expect, it, vi } from 'vitest';
import { config } from '../src/config.js';
import { plugin } from '../src/index.js';
import { described, gate, putProgram } from './sample-program.js';

vi.setConfig({ testTimeout: 120_000 });

const { path, folder } = await putProgram(described(gate));
afterAll(() => folder.remove());

testPlugin('plugin-exec', {
  plugin,
  goodConfig: { program: path },
  badConfigs: {
    'no program': {},
    'a relative program': { program: './my-ci' },
    'an unknown key': { program: path, timeout: 3 },
  },
});

it('has a README whose tables list what the schema takes', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const tables = [...readme.matchAll(/^\| field \|[\s\S]*?\n\n/gm)].map(([table]) => table).join('');
  expect([...tables.matchAll(/^\| `(\w+)` /gm)].map(([, field]) => field)).toEqual([...Object.keys(config.shape)]);
});
