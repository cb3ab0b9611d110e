import type { Config } from '@pipit/config';
import type { AuditHead, Logger } from '@pipit/core';
import type { AuditHeadRow } from '@pipit/pipeline';
import { expect, it } from 'vitest';
import type { HeadSigner } from '../src/audit/head-signer.js';
import { createAuditHeads } from '../src/audit/send-heads.js';
import type { Instances } from '../src/plugins/instances.js';

const head: AuditHeadRow = {
  sequence: 7,
  hash: 'a'.repeat(64),
  at: '2026-11-26T12:00:00.000Z',
  keyId: 'k',
  previousHead: '0'.repeat(64),
  signature: 's',
};

interface Told {
  readonly lines: unknown[];
  readonly reported: { readonly head: AuditHead; readonly options: unknown }[];
}

/** Two pipelines that name the same two notifiers; one of them keeps heads. */
const open = (signer: Partial<HeadSigner>): Told & { readonly heads: ReturnType<typeof createAuditHeads> } => {
  const told: Told = { lines: [], reported: [] };
  const log = (level: string) => (fields: object, message?: string) => void told.lines.push([level, message, fields]);
  const logger: Logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
  const notify = [
    { use: 'chat', options: { channel: 'ops' } },
    { use: 'mail', options: {} },
  ];
  const keeper = { notifier: { reportAuditHead: async (request: Told['reported'][number]) => void told.reported.push(request) } };
  const heads = createAuditHeads({
    signer: { announce: async () => undefined, sign: async () => undefined, findFault: async () => undefined, ...signer },
    config: { audit: { every: 3_600_000 }, pipelines: { web: { notify }, api: { notify } } } as unknown as Config, // all that is read of it
    instances: { get: (name: string) => (name === 'chat' ? keeper : { notifier: {} }) } as unknown as Instances, // as above
    logger,
    stopping: new AbortController().signal,
  });
  return { ...told, heads };
};

it('sends a signed head to the log, and once to each notifier that keeps heads', async () => {
  const { heads, lines, reported } = open({ sign: async () => head });
  heads.start();
  await heads.stop();
  const { previousHead: _previousHead, ...sent } = head;
  // At its start and at its stop.
  expect(lines).toEqual([
    ['info', 'Audit head', sent],
    ['info', 'Audit head', sent],
  ]);
  expect(reported).toEqual([
    { head: sent, options: { channel: 'ops' } },
    { head: sent, options: { channel: 'ops' } },
  ]);
});

it('reports once that the trail is not what it was', async () => {
  const { heads, lines } = open({ findFault: async () => 'Line 7 is gone' });
  heads.start();
  await heads.stop();
  expect(lines).toEqual([['error', expect.stringContaining('not what it was'), { fault: 'Line 7 is gone' }]]);
});

it('signs nothing where it was not started', async () => {
  const { heads, lines } = open({ sign: async () => head });
  await heads.stop();
  expect(lines).toEqual([]);
});
