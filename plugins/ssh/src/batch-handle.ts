import { createHash } from 'node:crypto';
import { z } from 'zod';

/**
 * How far one host of a batch is, as far as pipit has to remember it: all else is read from the host.
 *
 * - `q`: not told yet, because it could not be reached so far.
 * - `s`: told; from then on the host knows.
 * - any other letter: given up for good, for a reason of `GIVEN_UP`.
 */
export type HostMark = 'q' | 's' | GivenUp;

/** Why a host was given up: the letter in a handle, and the error's code. */
export const GIVEN_UP = {
  u: 'SSH_UNREACHABLE',
  d: 'SSH_CONNECTION_DROPPED',
  k: 'SSH_HOST_KEY_CHANGED',
  n: 'SSH_HOST_KEY_UNKNOWN',
  l: 'SSH_LOGIN_REFUSED',
  c: 'SSH_CONFIG_INVALID',
  o: 'SSH_SUDO_REFUSED',
  r: 'SSH_ROOT_REFUSED',
  b: 'SSH_SHELL_BROKEN',
  x: 'HOST_CUT_OFF',
  f: 'HOST_DISK_FULL',
  m: 'HOST_LAUNCH_REFUSED',
  t: 'HOST_SCRIPT_BROKEN',
} as const;

export type GivenUp = keyof typeof GIVEN_UP;

/** A batch under way, as plain JSON: it works in a fresh instance on another machine, which has the hosts from the request. */
export interface Batch {
  /** The operation's. */
  readonly key: string;
  /** When the batch began, in milliseconds since 1970. */
  readonly since: number;
  /** One for each host of the request, in its order. */
  readonly marks: readonly HostMark[];
  /** Hosts that were told and do not answer now: since when, in milliseconds since 1970, by their place in the request. */
  readonly cut: Readonly<Record<string, number>>;
}

/** Handles are at most 2,000 characters. */
const MAX_HANDLE = 2_000;

const marksOf = (text: string): readonly HostMark[] =>
  // The schema's pattern has proved that every letter is a mark.
  [...text.matchAll(/([a-z])(\d+)/g)].flatMap(([, mark = 'q', count]) => Array.from({ length: Number(count) }, () => mark as HostMark));

const textOf = (marks: readonly HostMark[]): string => marks.join('').replace(/(.)\1*/g, (run, mark: string) => `${mark}${run.length}`);

const LETTERS = ['q', 's', ...Object.keys(GIVEN_UP)].join('');

const schema = z.strictObject({
  v: z.literal(1),
  key: z.string(),
  at: z.int(),
  hosts: z.string().regex(new RegExp(`^(?:[${LETTERS}][0-9]{1,5})*$`)),
  cut: z.record(z.string().regex(/^\d+$/), z.int()).default({}),
});

/** A key may hold anything and be long; the handle only has to tell whether it is the batch's. */
const shortKey = (key: string): string => (key.length <= 300 ? key : `sha256:${createHash('sha256').update(key).digest('hex')}`);

export const writeHandle = ({ key, since, marks, cut }: Batch): string => {
  const text = (given: Batch['cut']): string => JSON.stringify({ v: 1, key: shortKey(key), at: since, hosts: textOf(marks), cut: given });
  const whole = text(cut);
  if (whole.length <= MAX_HANDLE) return whole;
  // So many are cut off that they are not told apart: each then counts from the batch's beginning.
  return text({});
};

/** Undefined: nothing that this plugin gave. */
export const readHandle = (handle: string, hosts: number): Batch | undefined => {
  let value: unknown;
  try {
    value = JSON.parse(handle);
  } catch {
    return undefined;
  }
  const { success, data } = schema.safeParse(value);
  if (!success) return undefined;
  const marks = marksOf(data.hosts);
  return marks.length === hosts ? { key: data.key, since: data.at, marks, cut: data.cut } : undefined;
};
