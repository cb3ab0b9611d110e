import { describe, expect, it, vi } from 'vitest';
import { isPluginError, PluginError, recoveryOf } from '../src/index.js';

const error = new PluginError({
  code: 'JENKINS_JOB_NOT_FOUND',
  message: 'There is no job web',
  hint: 'Create it',
  recovery: 'stop',
  cause: new Error('404'),
});

describe('a plugin error', () => {
  it('is an Error with its code, hint, recovery and cause', () => {
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'PluginError',
      code: 'JENKINS_JOB_NOT_FOUND',
      message: 'There is no job web',
      hint: 'Create it',
      recovery: 'stop',
    });
    expect(error.cause).toEqual(new Error('404'));
    expect(error.stack).toContain('plugin-error.test');
  });

  it('has no cause where none was given', () => {
    expect('cause' in new PluginError({ code: 'A_B', message: 'm', recovery: 'retry' })).toBe(false);
  });

  it('is recognised across two copies of core, where instanceof is not', async () => {
    vi.resetModules();
    const other = await import('../src/plugin-error.js');
    expect(other.PluginError).not.toBe(PluginError);
    expect(error).not.toBeInstanceOf(other.PluginError);
    expect(other.isPluginError(error)).toBe(true);
    const theirs = new other.PluginError({ code: 'A_B', message: 'm', recovery: 'retry' });
    expect(isPluginError(theirs)).toBe(true);
    expect(recoveryOf(theirs)).toBe('retry');
  });

  it('hides its marker from loggers that walk keys', () => {
    expect(Object.keys(error).sort()).toEqual(['code', 'hint', 'name', 'recovery']);
    expect(Object.getOwnPropertySymbols({ ...error })).toEqual([]);
  });

  it.each([null, undefined, 'text', {}, new Error('plain'), { code: 'A_B', message: 'm', recovery: 'stop' }, { ...error }])(
    'is not %s',
    (value) => {
      expect(isPluginError(value)).toBe(false);
    },
  );

  it.each([new Error('plain'), 'text', undefined, { recovery: 'stop' }])('means reconcile when %s was thrown instead', (thrown) => {
    expect(recoveryOf(thrown)).toBe('reconcile');
  });

  it.each(['retry', 'reconcile', 'stop'] as const)('keeps the recovery %s', (recovery) => {
    expect(recoveryOf(new PluginError({ code: 'A_B', message: 'm', recovery }))).toBe(recovery);
  });
});
