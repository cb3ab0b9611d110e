import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  type ChangeEvent,
  createSecret,
  type HookRequest,
  parseCommitSha,
  parseRefName,
  type Received,
  type Secret,
  type Trigger,
} from '@pipit/core';
import type { TriggerHarness } from '../../src/index.js';
import { COMMIT } from './requests.js';

export type TriggerFault =
  | 'has no way to tell'
  | 'tells nothing of a push'
  | 'makes a key each time'
  | 'takes an unsigned id for the key'
  | 'says nothing of a refusal'
  | 'believes the body'
  | 'reads a file to verify'
  | 'tells again behind the cursor'
  | 'tells a push once only'
  | 'polls although it is aborted'
  | 'prints its password';

const SECRET = 'hook secret';
let deliveries = 0;

const sign = (body: Uint8Array): string => createHmac('sha256', SECRET).update(body).digest('hex');

const eventOf = ({ body, headers }: HookRequest, fault: TriggerFault | undefined): ChangeEvent => {
  deliveries += 1;
  const { ref, sha } = JSON.parse(Buffer.from(body).toString()) as { ref: string; sha: string }; // signed by the test itself
  const signed = createHash('sha256').update(body).digest('hex');
  const key =
    fault === 'makes a key each time'
      ? String(deliveries)
      : fault === 'takes an unsigned id for the key'
        ? (headers['x-id'] ?? '')
        : signed;
  return { key, repository: COMMIT.repository, ref: parseRefName(ref), sha: parseCommitSha(sha) };
};

const receive = async (request: HookRequest, fault: TriggerFault | undefined): Promise<Received> => {
  if (fault === 'reads a file to verify') await readFile('/etc/hostname');
  const given = Buffer.from(request.headers['x-signature'] ?? '');
  const right = Buffer.from(sign(request.body));
  if (given.length === 0)
    return {
      refused: fault === 'says nothing of a refusal' ? '' : 'The signature is missing',
      code: 'MEMORY_SIGNATURE_MISSING',
      status: 401,
    };
  if (fault !== 'believes the body' && !(given.length === right.length && timingSafeEqual(given, right)))
    return { refused: 'The signature is wrong', code: 'MEMORY_SIGNATURE_WRONG', status: 401 };
  return { accepted: fault === 'tells nothing of a push' ? [] : [{ type: 'change', event: eventOf(request, fault) }] };
};

/** A trigger whose provider is a list in memory. */
export const memoryTriggerHarness = (fault?: TriggerFault): TriggerHarness => ({
  open: async () => {
    const pushes: ChangeEvent[] = [];
    let told = 0;
    const poll: NonNullable<Trigger['poll']> = async (after, { signal }) => {
      if (fault === 'polls although it is aborted' && signal.aborted) return new Promise(() => {});
      signal.throwIfAborted();
      const from = after === undefined ? pushes.length : Number(after);
      const events = pushes.slice(
        fault === 'tells again behind the cursor' ? 0 : fault === 'tells a push once only' ? Math.max(from, told) : from,
      );
      told = pushes.length;
      return { events, cursor: String(pushes.length) };
    };
    const password: Secret =
      fault === 'prints its password' ? Object.assign(() => {}, { reveal: () => 'p4ss', toJSON: () => 'p4ss' }) : createSecret('p4ss');
    const trigger: Trigger = fault === 'has no way to tell' ? {} : { poll, access: async () => ({ username: 'git', password }) };
    const body = Buffer.from(JSON.stringify({ ref: 'refs/heads/main', sha: COMMIT.sha }));
    const good: HookRequest = {
      method: 'POST',
      query: {},
      headers: { 'x-signature': sign(body), 'x-id': '17' },
      body,
      remoteAddress: '127.0.0.1',
    };
    return {
      repository: { id: COMMIT.repository.id, name: COMMIT.repository.name },
      hook: {
        good,
        expected: { ref: parseRefName('refs/heads/main'), sha: COMMIT.sha },
        bad: {
          'no signature': { ...good, headers: {} },
          'another signature': { ...good, headers: { 'x-signature': sign(Buffer.from('other')) } },
        },
      },
      push: async () => {
        const event = {
          key: String(pushes.length),
          repository: COMMIT.repository,
          ref: parseRefName('refs/heads/main'),
          sha: parseCommitSha('c'.repeat(40)),
        };
        pushes.push(event);
        return event;
      },
      reopen: async () => (fault === 'has no way to tell' ? { trigger } : { trigger, receive: (request) => receive(request, fault) }),
    };
  },
});
