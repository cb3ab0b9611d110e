import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { query, readPostmaster } from './support/database.js';
import { createPipitServe, type PipitServe } from './support/pipit-serve.js';
import { waitUntil } from './support/wait-until.js';

const TEST_TIMEOUT_MS = 120_000;

let pipit: PipitServe;

beforeAll(async () => {
  pipit = await createPipitServe();
}, TEST_TIMEOUT_MS);
afterAll(() => pipit?.remove(), TEST_TIMEOUT_MS);

describe('signals', () => {
  it(
    'exits with 0 on SIGTERM when the database was adopted from a killed server',
    async () => {
      const killed = await pipit.start();
      killed.send('SIGKILL');
      await killed.ended;
      const serving = await pipit.start();
      expect(serving.log()).toContain('Adopted the database');
      serving.send('SIGTERM');
      expect(await serving.ended).toBe(0);
      // PostgreSQL removes it at the end of a clean shutdown.
      await expect(readPostmaster(pipit.dataFolder)).rejects.toMatchObject({ code: 'ENOENT' });
    },
    TEST_TIMEOUT_MS,
  );

  it.each([
    ['an endless loop', 'for (;;);'],
    ['a call that never returns', 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);'],
  ])(
    'ends a server whose event loop is blocked by %s on the second signal, and loses nothing',
    async (_what, block) => {
      const preload = join(pipit.folder, 'block.mjs');
      await writeFile(preload, `process.on('SIGUSR2', () => { process.stderr.write('blocked now\\n'); ${block} });`);
      const serving = await pipit.start({ preload: [preload] });
      const after = block.length.toString(16).padStart(40, 'a');
      expect(await pipit.deliver(after)).toMatchObject({ status: 202 });
      const { pid } = await readPostmaster(pipit.dataFolder);
      serving.send('SIGUSR2');
      await waitUntil('it is blocked', () => serving.log().includes('blocked now') || undefined);
      serving.send('SIGTERM');
      serving.send('SIGINT');
      expect(await serving.ended).toBe('SIGKILL');
      expect(serving.log()).toContain('The event loop is blocked');
      const next = await pipit.start();
      expect((await readPostmaster(pipit.dataFolder)).pid).toBe(pid);
      expect(await query(pipit.dataFolder, `select 1 from events where body->'event'->>'sha' = $1`, [after])).toHaveLength(1);
      expect(next.log()).toContain('Adopted the database');
      next.send('SIGTERM');
      expect(await next.ended).toBe(0);
    },
    TEST_TIMEOUT_MS,
  );
});
