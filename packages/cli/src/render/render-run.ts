import type { RunDetail } from '@pipit/runtime';
import { cutLine } from './cut-line.js';
import { formatDuration } from './format-time.js';
import { type Paint, PLAIN } from './paint.js';
import { renderSummary, renderTitle } from './render-summary.js';
import { type EntryState, type HostEntry, type RingEntry, readRunEntries, type StepEntry } from './run-entries.js';

export interface RenderOptions {
  /** For the durations of what is under way. */
  readonly now: Date;
  /** Default: none. */
  readonly paint?: Paint;
  /** Columns; longer lines are cut. Default: not cut. */
  readonly width?: number;
}

export const stateMark = (state: EntryState, paint: Paint): string => {
  switch (state) {
    case 'done':
      return paint.green('✓');
    case 'failed':
      return paint.red('✗');
    case 'cancelled':
      return paint.yellow('✗');
    case 'running':
      return paint.cyan('●');
    case 'waiting':
      return paint.cyan('◷');
    case 'skipped':
    case 'pending':
      return paint.dim('○');
  }
};

const HOST_STATES: Readonly<Record<HostEntry['state'], EntryState>> = {
  installed: 'done',
  pending: 'running',
  failed: 'failed',
  unreachable: 'cancelled',
  left: 'skipped',
};

/** A host's state in the words of a ring's tree. */
export const hostMark = (host: HostEntry, paint: Paint): string => stateMark(HOST_STATES[host.state], paint);

const durationOf = ({ state, startedAt, endedAt }: StepEntry, now: Date): string => {
  if (startedAt === null) return '';
  const end = endedAt ?? (state === 'running' ? now.toISOString() : null);
  return end === null ? '' : formatDuration(Date.parse(end) - Date.parse(startedAt));
};

const longest = (texts: readonly string[]): number => Math.max(0, ...texts.map((text) => text.length));

const renderSteps = (steps: readonly StepEntry[], now: Date, paint: Paint): readonly string[] => {
  const durations = steps.map((step) => durationOf(step, now));
  const [stage, name, state, duration] = [
    longest(steps.map((step) => step.stage)),
    longest(steps.map((step) => step.step)),
    longest(steps.map((step) => step.state)),
    longest(durations),
  ];
  return steps.map((step, at) => {
    const shown = `${step.stage.padEnd(stage)}  ${step.step.padEnd(name)}  ${step.state.padEnd(state)}  ${(durations[at] ?? '').padStart(duration)}`;
    const plain = step.note === '' ? shown.trimEnd() : shown;
    const note = step.note === '' ? '' : `  ${step.state === 'failed' ? paint.red(step.note) : step.note}`;
    const line = `  ${stateMark(step.state, paint)} ${step.state === 'pending' || step.state === 'skipped' ? paint.dim(plain) : plain}${note}`;
    return line.trimEnd();
  });
};

/** What a rollout is called beside its ring: `verified`, `rollback installing`. */
export const rolloutWord = ({ purpose, state }: RingEntry): string => (purpose === 'rollback' ? `rollback ${state}` : state);

const renderRing = (ring: RingEntry, paint: Paint): readonly string[] => {
  const id = longest(ring.hosts.map((host) => host.hostId));
  const version = longest(ring.hosts.map((host) => host.version ?? '-'));
  const digest = longest(ring.hosts.map((host) => host.digest ?? '-'));
  const state = longest(ring.hosts.map((host) => host.state));
  return [
    `  ${paint.bold(ring.ring)}  ${ring.version}  ${rolloutWord(ring)}${ring.reason === '' ? '' : `  ${ring.reason}`}`,
    ...ring.hosts.map((host, at) => {
      const branch = at === ring.hosts.length - 1 ? '└─' : '├─';
      const cells = `${host.hostId.padEnd(id)}  ${(host.version ?? '-').padEnd(version)}  ${paint.dim((host.digest ?? '-').padEnd(digest))}`;
      return `  ${paint.dim(branch)} ${hostMark(host, paint)} ${cells}  ${host.state.padEnd(state)}  ${host.reason}`.trimEnd();
    }),
  ];
};

/** A run as lines: its title, one line a step, a tree of hosts for each ring, a summary. Pure. */
export const renderRun = (detail: RunDetail, options: RenderOptions): readonly string[] => {
  const { now, paint = PLAIN, width } = options;
  const { steps, rings } = readRunEntries(detail);
  const lines = [
    renderTitle(detail, paint),
    '',
    ...renderSteps(steps, now, paint),
    ...rings.flatMap((ring) => ['', ...renderRing(ring, paint)]),
    '',
    ...renderSummary(detail, { now, paint }),
  ];
  return width === undefined ? lines : lines.map((line) => cutLine(line, width));
};
