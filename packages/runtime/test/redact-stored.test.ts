import { createSecret, PluginError } from '@pipit/core';
import { appendAudit, createMemoryRecords, createMemoryStepLogs, findBrokenAudit } from '@pipit/pipeline';
import { createRedactor } from '@pipit/plugin-kit';
import { describe, expect, it } from 'vitest';
import { createRedactedLogs, createRedactedRecords, redactError, redactValue } from '../src/redact-stored.js';

const SECRET = 'hunter2-hunter2';
const redactor = createRedactor();
redactor.register(SECRET);

describe('what is stored', () => {
  it('holds no registered secret in any row, inserted or updated', async () => {
    const records = createRedactedRecords(createMemoryRecords(), redactor);
    await records.transaction(async (transaction) => {
      await transaction.insert('settings', { name: 'one', value: { deep: [`https://me:${SECRET}@example.org`] } });
      await transaction.insert('settings', { name: 'two', value: 'clean' });
      await transaction.update('settings', { name: 'two' }, { value: `token ${SECRET}` });
    });
    const stored = JSON.stringify(await records.list('settings'));
    expect(stored).not.toContain(SECRET);
    expect(stored).toContain('https://me:[secret]@example.org');
  });

  it('holds none in the audit trail, whose chain stays whole', async () => {
    const memory = createMemoryRecords();
    const records = createRedactedRecords(memory, redactor);
    const line = (reason: string) => ({
      at: new Date('2026-01-01T00:00:00.000Z'),
      actor: { name: 'token:admin', origin: 'cli' },
      action: 'run.promote',
      subject: 'web-1',
      detail: { reason },
    });
    await records.transaction((transaction) => appendAudit(transaction, line('clean'), line(`with ${SECRET}`), line('clean')));
    await records.transaction((transaction) => appendAudit(transaction, line(`once more ${SECRET}`)));
    const rows = await memory.list('audit');
    expect(rows.map((row) => row.detail)).toEqual(['clean', 'with [secret]', 'clean', 'once more [secret]'].map((reason) => ({ reason })));
    expect(findBrokenAudit(rows)).toBeUndefined();
  });

  it('holds none in a step log', async () => {
    const logs = createRedactedLogs(createMemoryStepLogs(), redactor);
    await logs.append({ operationId: 'web-1:build:1', step: 'await' }, `export TOKEN=${SECRET}\n`, '2026-01-01T00:00:00.000Z');
    const { pieces } = await logs.read({ operationId: 'web-1:build:1' });
    expect(pieces.map((piece) => piece.text)).toEqual(['export TOKEN=[secret]\n']);
  });
});

describe('redactError', () => {
  it('keeps code, recovery and hint of a plugin error, without the secret', () => {
    const thrown = new PluginError({
      code: 'GIT_FAILED',
      message: `cannot reach https://me:${SECRET}@x`,
      hint: `try ${SECRET}`,
      recovery: 'retry',
    });
    const redacted = redactError(redactor, thrown);
    expect(redacted).toMatchObject({
      code: 'GIT_FAILED',
      message: 'cannot reach https://me:[secret]@x',
      hint: 'try [secret]',
      recovery: 'retry',
    });
    expect(String((redacted as Error).stack)).not.toContain(SECRET);
  });

  it('gives an error without a secret back as it is', () => {
    const thrown = new Error('nothing to hide');
    expect(redactError(redactor, thrown)).toBe(thrown);
  });
});

it('leaves a Secret object and numbers alone', () => {
  const secret = createSecret(SECRET);
  const value = { secret, count: 3, none: null };
  expect(redactValue(redactor, value)).toEqual(value);
  expect(redactValue(redactor, value).secret).toBe(secret);
});
