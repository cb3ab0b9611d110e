import { describe, expect, it } from 'vitest';
import { networkOf } from '../src/network-of.js';
import { createRefusalLog } from '../src/refusal-log.js';
import type { Refusal } from '../src/served-runtime.js';
import { createTestClock } from './support/serve.js';

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

const create = () => {
  const lines: Refusal[] = [];
  const clock = createTestClock();
  const log = createRefusalLog({
    record: async (refusal) => {
      lines.push(refusal);
    },
    clock,
    logger: quiet,
    perNetwork: 3,
    overall: 5,
  });
  const from = (remoteAddress: string, message = 'no') => log.add({ instance: 'github', remoteAddress, code: 'A_CODE', message });
  return { lines, clock, log, from };
};

describe('the log of refusals', () => {
  it('holds at once also when many come at once', async () => {
    const { lines, from } = create();
    await Promise.all(Array.from({ length: 100 }, () => from('10.0.0.1')));
    expect(lines).toHaveLength(3);
  });

  it('bounds what many addresses write together, and says of how many it was', async () => {
    const { lines, clock, log, from } = create();
    for (let sender = 0; sender < 1000; sender += 1) await from(`10.0.${sender >> 8}.${sender & 255}`);
    for (let sent = 0; sent < 7; sent += 1) await from('10.0.0.2');
    expect(lines).toHaveLength(5);
    clock.advance(60_000);
    await log.summarize();
    expect(lines.slice(5).map((line) => [line.remoteAddress, line.message])).toEqual([
      ['10.0.0.2', '7 more refused requests of 10.0.0.2 since 2026-03-01T10:00:00.000Z were counted and not recorded'],
      ['*', '995 more refused requests of other networks since 2026-03-01T10:00:00.000Z were counted and not recorded'],
    ]);
  });

  it('begins anew each minute', async () => {
    const { lines, clock, from } = create();
    for (let minute = 0; minute < 3; minute += 1) {
      await from('10.0.0.1');
      clock.advance(60_000);
    }
    expect(lines.map((line) => line.code)).toEqual(['A_CODE', 'A_CODE', 'A_CODE']);
  });

  it('says nothing before the minute is over, unless it has to', async () => {
    const { lines, clock, log, from } = create();
    for (let sent = 0; sent < 4; sent += 1) await from('10.0.0.1');
    clock.advance(59_999);
    await log.summarize();
    expect(lines).toHaveLength(3);
    await log.summarize({ force: true });
    expect(lines).toHaveLength(4);
    await log.summarize({ force: true });
    expect(lines).toHaveLength(4);
  });

  it('cuts what a sender makes long', async () => {
    const { lines, from } = create();
    await from('10.0.0.1', 'x'.repeat(10_000));
    expect(lines[0]?.message).toHaveLength(300);
  });
});

describe('the network of an address', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002:ffff::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['gone', 'gone'],
  ])('of %s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
