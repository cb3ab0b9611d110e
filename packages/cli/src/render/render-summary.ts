import type { RunDetail } from '@pipit/runtime';
import { cleanLine } from './clean-text.js';
import { formatDuration } from './format-time.js';
import { type Paint, PLAIN } from './paint.js';
import { type Run, readRunResult } from './run-result.js';

/** Between a name and its ref: `main`, a tag as `tags/v1`. */
export const shortRef = (ref: string): string => cleanLine(ref.replace(/^refs\/(?:heads\/)?/, ''));

const SHA_CHARACTERS = 7;
export const shortSha = (sha: string): string => sha.slice(0, SHA_CHARACTERS);

const KINDS: Readonly<Record<Run['kind'], string>> = { delivery: 'delivery', promotion: 'promotion', rollback: 'rollback' };

/** What a run is about: its id, kind, commit, ref and author. */
export const renderTitle = ({ run }: RunDetail, paint: Paint = PLAIN): string => {
  const target = run.targetRing === null ? '' : ` of ${run.targetRing}`;
  const by = run.actor ?? run.author;
  return `${paint.bold(run.id)}  ${KINDS[run.kind]}${target}  ${shortRef(run.ref)} ${shortSha(run.sha)}${by === null ? '' : ` by ${cleanLine(by)}`}${run.version === null ? '' : `  ${run.version}`}`;
};

export interface SummaryOptions {
  readonly now: Date;
  readonly paint?: Paint;
}

/** How a run stands, in one sentence; when it waits for a person, what that person can type. */
export const renderSummary = ({ run }: RunDetail, { now, paint = PLAIN }: SummaryOptions): readonly string[] => {
  const took = formatDuration((run.endedAt === null ? now.getTime() : Date.parse(run.endedAt)) - Date.parse(run.createdAt));
  const reason = cleanLine(run.reason ?? '');
  const because = reason === '' ? '' : `: ${reason}`;
  switch (readRunResult(run)) {
    case 'succeeded':
      return [`${paint.green('✓')} ${run.id} succeeded after ${took}${because}`];
    case 'rolled-back':
      return [`${paint.yellow('↶')} ${run.id} was rolled back after ${took}${because}`];
    case 'failed':
      return [
        `${paint.red('✗')} ${run.id} ${run.outcome === 'failed' || run.outcome === null ? 'failed' : `ended as ${run.outcome}`} after ${took}${because}`,
      ];
    case 'waiting': {
      const ring = run.stage.replace(/^promotion:/, '');
      const seen = run.version === null ? '' : ` --if-canary ${run.version}`;
      return [
        `${paint.cyan('◷')} ${run.id} waits for a promotion to ${ring}${because}`,
        `  pipit promote ${run.app} --ring ${ring}${seen}`,
      ];
    }
    case 'under-way':
      return run.state === 'waiting'
        ? [`${paint.cyan('◷')} ${run.id} waits${because}`]
        : [`${paint.cyan('●')} ${run.id} is at ${run.stage}, ${took}`];
  }
};
