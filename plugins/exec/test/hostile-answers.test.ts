import { expect, it } from 'vitest';
import { answers } from '../src/answers.js';
import { parseAnswer } from '../src/call-program.js';

const call = { program: '/p', method: 'discovery.findHosts', recovery: 'retry' } as const;

it.each([
  ['millions of values', `{"ok":[${'0,'.repeat(3_000_000)}0]}`, answers.hostReports],
  ['many packages that are none', `{"ok":[${'{},'.repeat(50_000)}{}]}`, answers.packages],
  ['names of any length', `{"ok":{"${'x'.repeat(7_000_000)}":1}}`, answers.foundHosts],
  ['lists in lists', `{"ok":${'['.repeat(1_000_000)}${']'.repeat(1_000_000)}}`, answers.hostReports],
  ['lists without an end', '['.repeat(8_000_000), answers.hostReports],
])('refuses an answer of %s in few words', { timeout: 20_000 }, (_what, text, schema) => {
  let thrown: unknown;
  try {
    parseAnswer(text, call, schema);
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'EXEC_ANSWER_INVALID' });
  expect(String(thrown).length).toBeLessThan(5_000);
});
