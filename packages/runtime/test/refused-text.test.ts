import { expect, it } from 'vitest';
import type { Ground } from '../src/compose-pipeline.js';
import { createContainer } from '../src/container.js';
import { createApi } from '../src/create-api.js';

/** Nothing of it is reached: what is tested comes before. */
const ground = { storage: {} } as unknown as Ground;
const actor = { name: 'ann', origin: 'library' };
const isRefused = { code: 'INVALID_TEXT', message: expect.stringMatching(/^(?:\w+ in )?the call has a zero character/) };

it('refuses text that cannot be stored in every call of the Api', async () => {
  const api = createApi(ground, createContainer(), actor);
  const odd = 'a\0';
  const page = { before: odd };
  const calls: readonly Promise<unknown>[] = [
    api.listRuns({ app: odd }),
    api.showRun('\ud800'),
    api.readLog({ runId: 'web-1', step: odd }),
    api.listReleases({ app: 'web', ...page }),
    api.listHosts({ app: odd }),
    api.showEvent(odd),
    api.listEvents(page),
    api.listAudit(page),
    api.plan({ repository: odd, ref: 'refs/heads/main' as never }),
    api.promote({ app: 'web', reason: odd }),
    api.rollback({ app: 'web', reason: 'half \udc00' }),
    api.cancel({ runId: 'web-1', reason: odd }),
    api.reconcile({ reason: odd }),
  ];
  for (const call of calls) await expect(call).rejects.toMatchObject(isRefused);
  expect(() => api.follow({ runId: odd, signal: AbortSignal.abort() })).toThrow(expect.objectContaining(isRefused));
});

it('refuses it in the name of whoever calls', () => {
  expect(() => createApi(ground, createContainer(), { name: 'ann\0', origin: 'library' })).toThrow(
    expect.objectContaining({ code: 'INVALID_TEXT' }),
  );
});
