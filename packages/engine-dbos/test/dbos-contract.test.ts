import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { dbRetryConfig, INTERNAL_QUEUE_NAME } from '@dbos-inc/dbos-sdk/internal/utils';
import { wfQueueRunner } from '@dbos-inc/dbos-sdk/internal/wfqueue';
import { describe, expect, it } from 'vitest';
import { tuneDbos } from '../src/engine/dbos-internals.js';

const require = createRequire(import.meta.url);
const sdk = dirname(require.resolve('@dbos-inc/dbos-sdk'));
const readSdk = (file: string): Promise<string> => readFile(join(sdk, file), 'utf8');
const tight = (text: string): string => text.replaceAll(/\s+/g, ' ');

/** What leases.ts and dbos-internals.ts rely upon in DBOS beside its public interface. Read these places again before the version is raised. */
describe('the contract with DBOS', () => {
  it('is with one exact version', async () => {
    const workspace = await readFile(new URL('../../../pnpm-workspace.yaml', import.meta.url), 'utf8');
    const installed = JSON.parse(await readFile(join(sdk, '..', '..', 'package.json'), 'utf8')) as { version: string };
    expect(workspace).toMatch(/^ {2}"@dbos-inc\/dbos-sdk": 5\.3\.0$/m);
    expect(installed.version).toBe('5.3.0');
  });

  it('has recovery put a workflow back into the queue by the statement that leases.ts narrows', async () => {
    const source = tight(await readSdk('system_database.js'));
    expect(source).toContain(
      tight(`SET started_at_epoch_ms = NULL, status = $1, owner_xid = NULL, updated_at = (EXTRACT(EPOCH FROM now()) * 1000)::bigint,
        queue_name = COALESCE(queue_name, $2) WHERE status = $3 AND executor_id = $4 AND application_version = $5 AND \${scope} RETURNING workflow_uuid`),
    );
    expect(INTERNAL_QUEUE_NAME).toBe('_dbos_internal_queue');
  });

  it('retries with what it finds in its settings, and registers its queue unless it is there', () => {
    tuneDbos();
    expect(dbRetryConfig).toMatchObject({ maxBackoffSec: 2 });
    expect(wfQueueRunner.getInternalQueue(INTERNAL_QUEUE_NAME)?.minPollingIntervalMs).toBe(250);
  });

  it('takes a refused connection for one that may be tried again, and a socket that is not there not', async () => {
    const { retriablePostgresException } = await import('@dbos-inc/dbos-sdk/internal/system_database');
    const withCode = (code: string): Error => Object.assign(new Error('connect'), { code });
    expect(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE'].map((code) => retriablePostgresException(withCode(code)))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
