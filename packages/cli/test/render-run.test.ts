import { describe, expect, it } from 'vitest';
import { cleanBlock, cleanLine } from '../src/render/clean-text.js';
import { cutLine, visibleLength } from '../src/render/cut-line.js';
import { formatAge, formatDuration } from '../src/render/format-time.js';
import { createPaint } from '../src/render/paint.js';
import { renderChanges } from '../src/render/render-changes.js';
import { renderRun } from '../src/render/render-run.js';
import { exitCodeOf, readRunResult } from '../src/render/run-result.js';
import { buildingRun, installingRun, NOW, rolledBackRun, succeededRun, waitingRun } from './support/sample-run.js';

const golden = (name: string): string => `__golden__/${name}.txt`;
const text = (lines: readonly string[]): string => `${lines.join('\n')}\n`;

describe('a run as lines', () => {
  it.each([
    ['building', buildingRun],
    ['installing', installingRun],
    ['waiting', waitingRun],
    ['rolled-back', rolledBackRun],
    ['succeeded', succeededRun],
  ])('shows steps, hosts and a summary of a run that is %s', async (name, detail) => {
    await expect(text(renderRun(detail, { now: NOW }))).toMatchFileSnapshot(golden(`run-${name}`));
  });

  it('cuts every line to the width, colours or not', () => {
    for (const paint of [createPaint(false), createPaint(true)])
      for (const line of renderRun(rolledBackRun, { now: NOW, paint, width: 50 })) expect(visibleLength(line)).toBeLessThanOrEqual(50);
  });

  it('says the same with colours as without', () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours
    const plain = renderRun(installingRun, { now: NOW, paint: createPaint(true) }).map((line) => line.replace(/\u001b\[\d+m/g, ''));
    expect(plain).toEqual(renderRun(installingRun, { now: NOW }));
  });
});

describe('the changes of a run', () => {
  it('are one line each, from the first look to the last', async () => {
    const looks = [undefined, buildingRun, installingRun, waitingRun, succeededRun];
    const told = looks
      .slice(1)
      .flatMap((after, at) => [`--- look ${at + 1}`, ...(after === undefined ? [] : renderChanges(looks[at], after, { now: NOW }))]);
    await expect(text(told)).toMatchFileSnapshot(golden('changes'));
  });

  it('are none when nothing changed', () => {
    expect(renderChanges(installingRun, installingRun, { now: new Date(NOW.getTime() + 5_000) })).toEqual([]);
  });

  it('tell each line once', () => {
    const lines = [...renderChanges(undefined, installingRun, { now: NOW }), ...renderChanges(installingRun, waitingRun, { now: NOW })];
    expect(new Set(lines).size).toBe(lines.length);
  });
});

it.each([
  [succeededRun, undefined, 'succeeded', 0],
  [rolledBackRun, undefined, 'rolled-back', 3],
  [waitingRun, undefined, 'waiting', 4],
  [waitingRun, 'production', 'under-way', undefined],
  [waitingRun, 'canary', 'waiting', 4],
  [installingRun, undefined, 'under-way', undefined],
] as const)('a run reads as it stands, after the promotion of a ring too (%#)', (detail, promoted, result, code) => {
  const read = readRunResult(detail.run, promoted);
  expect(read).toBe(result);
  if (read !== 'under-way') expect(exitCodeOf(read)).toBe(code);
});

it.each(['cancelled', 'superseded', 'stale', 'failed'] as const)('a run that ended as %s is a failure to who waited', (outcome) => {
  expect(readRunResult({ ...succeededRun.run, outcome })).toBe('failed');
});

it.each([
  [0, '0.0 s'],
  [-5, '0.0 s'],
  [9_990, '9.9 s'],
  [10_000, '10 s'],
  [200_000, '3 min 20 s'],
  [3_900_000, '1 h 5 min'],
])('%i ms are %s', (ms, shown) => {
  expect(formatDuration(ms)).toBe(shown);
});

it.each([
  [59_000, '59 s'],
  [60_000, '1 min'],
  [7_200_000, '2 h'],
  [172_800_000, '2 d'],
])('%i ms ago are %s', (ms, shown) => {
  expect(formatAge(new Date(NOW.getTime() - ms).toISOString(), NOW)).toBe(shown);
});

describe('text of others', () => {
  it('loses what a terminal would obey', () => {
    expect(cleanLine('a\u001b[2Jb\u001b]0;title\u0007c\u0000d\u202ee')).toBe('abcde');
    expect(cleanBlock('one\r\ntwo\rthree\tfour')).toBe('one\ntwo\nthree\tfour');
    expect(cleanLine('one\ntwo')).toBe('one two');
  });

  it('cannot forge a line of a run', () => {
    const forged = { ...installingRun, run: { ...installingRun.run, author: 'eve\n  ✓ build  done\u001b[1A' } };
    expect(renderRun(forged, { now: NOW })).toHaveLength(renderRun(installingRun, { now: NOW }).length);
    expect(renderRun(forged, { now: NOW }).join('')).not.toContain('\u001b');
  });
});

it('a cut line ends its colour', () => {
  expect(cutLine(createPaint(true).red('abcdef'), 4)).toBe('\u001b[31mabc…\u001b[0m');
  expect(cutLine('abcd', 4)).toBe('abcd');
});
