import type { RunDetail } from '@pipit/runtime';
import { formatDuration } from './format-time.js';
import { type Paint, PLAIN } from './paint.js';
import { hostMark, rolloutWord, stateMark } from './render-run.js';
import { renderSummary, renderTitle } from './render-summary.js';
import { readRunEntries, type StepEntry } from './run-entries.js';
import { readRunResult } from './run-result.js';

interface Told {
  readonly key: string;
  /** What has to change for the line to be told again. */
  readonly signature: string;
  readonly line: string;
}

const stepLine = (step: StepEntry, paint: Paint): string => {
  const took =
    step.startedAt !== null && step.endedAt !== null ? ` in ${formatDuration(Date.parse(step.endedAt) - Date.parse(step.startedAt))}` : '';
  const name = step.step === '' ? step.stage : `${step.stage} ${step.step}`;
  return `  ${stateMark(step.state, paint)} ${name}  ${step.state}${took}${step.note === '' ? '' : `  ${step.note}`}`;
};

const tell = (detail: RunDetail, now: Date, paint: Paint): readonly Told[] => {
  const { steps, rings } = readRunEntries(detail);
  const { run } = detail;
  const told: Told[] = [{ key: 'title', signature: '', line: renderTitle(detail, paint) }];
  for (const step of steps)
    if (step.state !== 'pending')
      told.push({ key: `step ${step.key}`, signature: JSON.stringify([step.state, step.note]), line: stepLine(step, paint) });
  for (const ring of rings) {
    told.push({
      key: `ring ${ring.key}`,
      signature: JSON.stringify([ring.state, ring.reason]),
      line: `  ${ring.ring}  ${ring.version}  ${rolloutWord(ring)}${ring.reason === '' ? '' : `  ${ring.reason}`}`,
    });
    for (const host of ring.hosts)
      if (host.state !== 'pending')
        told.push({
          key: `host ${host.key}`,
          signature: JSON.stringify([host.state, host.version, host.digest, host.reason]),
          line: `    ${hostMark(host, paint)} ${ring.ring} ${host.hostId}  ${host.version ?? '-'}  ${host.digest ?? '-'}  ${host.state}${host.reason === '' ? '' : `  ${host.reason}`}`,
        });
  }
  const result = readRunResult(run);
  if (result !== 'under-way')
    told.push({
      key: 'summary',
      signature: JSON.stringify([result, run.stage, run.reason]),
      line: renderSummary(detail, { now, paint }).join('\n'),
    });
  return told;
};

/**
 * What is new in a run since it was last looked at, one line a change; nothing is told twice. For logs and pipes. Pure.
 *
 * @param before absent: the first look, which tells everything that has happened
 */
export const renderChanges = (
  before: RunDetail | undefined,
  after: RunDetail,
  { now, paint = PLAIN }: { readonly now: Date; readonly paint?: Paint },
): readonly string[] => {
  const known = new Map(before === undefined ? [] : tell(before, now, paint).map(({ key, signature }) => [key, signature]));
  return tell(after, now, paint)
    .filter(({ key, signature }) => known.get(key) !== signature)
    .flatMap(({ line }) => line.split('\n'));
};
