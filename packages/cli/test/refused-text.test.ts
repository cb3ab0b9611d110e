import { expect, it } from 'vitest';
import { runCli } from '../src/run-cli.js';
import { createFakeWorld } from './support/fake-world.js';

it.each([
  ['a zero character', 'a\0', 'INVALID_TEXT'],
  ['half a character', 'a\ud83d', 'INVALID_TEXT'],
  ['what Node puts for bytes that are not UTF-8', 'caf\ufffd', 'CLI_USAGE'],
])('refuses arguments with %s', async (_what, word, code) => {
  for (const words of [['promote', 'web', '--reason', word], ['run', 'show', word], [word]]) {
    const fake = createFakeWorld({});
    expect(await runCli(['--json', ...words], fake.world)).toBe(2);
    expect(JSON.parse(fake.err())).toMatchObject({ error: { code } });
  }
});
