import { testPlugin } from '@pipit/plugin-testing';
import { afterAll, vi } from 'vitest';
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
