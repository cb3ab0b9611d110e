import { parseAppName, parseRingName, parseRoleName } from '@pipit/core';
import { expect, it } from 'vitest';
import { advertisedKeys, readAdvertised } from '../src/advertised-keys.js';
import { mapHealthEntries } from '../src/map-health-entries.js';

const keys = advertisedKeys('pipit', { app: parseAppName('web'), role: parseRoleName('app'), ring: parseRingName('canary') });
const advertised = (text: string) =>
  readAdvertised([{ Key: keys.document, Value: Buffer.from(text).toString('base64'), ModifyIndex: 1 }], keys);
const health = (answer: unknown) => mapHealthEntries(answer, { address: 'node' });
const zeros: unknown = JSON.parse(`[${'0,'.repeat(100_000)}0]`);

it.each([
  ['instances that are none', () => health(zeros), 'CONSUL_ANSWER_UNKNOWN'],
  [
    'checks that are none',
    () => health([{ Node: { Node: 'a', Address: 'b' }, Service: { ID: 'c' }, Checks: zeros }]),
    'CONSUL_ANSWER_UNKNOWN',
  ],
  ['keys that are none', () => readAdvertised(zeros, keys), 'CONSUL_ANSWER_UNKNOWN'],
  ['a deep document', () => advertised('['.repeat(200_000)), 'CONSUL_ADVERTISEMENT_INVALID'],
  ['artifacts that are none', () => advertised(`{"artifacts":[${'0,'.repeat(100_000)}0]}`), 'CONSUL_ADVERTISEMENT_INVALID'],
  ['a huge document', () => advertised(`{"artifacts":[${'0,'.repeat(5_000_000)}0]}`), 'CONSUL_ADVERTISEMENT_INVALID'],
])('refuses %s in few words', { timeout: 20_000 }, (_what, read, code) => {
  let thrown: unknown;
  try {
    read();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code });
  expect(String(thrown).length).toBeLessThan(5_000);
});
