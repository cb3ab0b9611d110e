import { describe, expect, it } from 'vitest';
import { checkErrorCodes } from './support/check-error-codes.js';
import { readMarkdown, readWorkspace } from './support/read-workspace.js';

it('every error code of the source is explained in the reference, and the other way round', () => {
  const sources = readWorkspace().flatMap((unit) => unit.sources);
  expect(checkErrorCodes(sources, readMarkdown('docs/reference/errors'))).toEqual([]);
});

describe('the check of error codes', () => {
  const source = (text: string) => [{ path: 'packages/a/src/a.ts', text }];
  const page = (text: string, path = 'docs/reference/errors/a.md') => [{ path, text }];
  const explained = '# A\n\n### A_BROKE\n\nIt broke. Mend it.\n';

  it('passes equal sets', () => {
    expect(checkErrorCodes(source("throw new PluginError({ code: 'A_BROKE', recovery: 'stop' });"), page(explained))).toEqual([]);
  });

  it.each([
    ["const e = { code: 'B_BROKE' };", /a\.ts:1: B_BROKE is not explained/],
    ["const e = { code: late ? 'B_LATE' : 'B_EARLY' };", /B_LATE is not explained/],
    ['const e = { code: `B_BROKE` };', /B_BROKE is not explained/],
    ["const e = { 'code': 'B_BROKE' as const };", /B_BROKE is not explained/],
  ])('tells of a code in source only: %s', (text, expected) => {
    expect(checkErrorCodes(source(text), []).join('\n')).toMatch(expected);
  });

  it.each([
    "type E = { code: 'B_BROKE' };",
    "if (e.code === 'B_BROKE') stop();",
    "// code: 'B_BROKE'",
    "const e = { code: 'ENOENT' };",
    "const e = { code: 'lower_case' };",
    "const e = { code: 'FST_ERR_VALIDATION' };",
  ])('does not take for a code of ours: %s', (text) => {
    expect(checkErrorCodes(source(text), [])).toEqual([]);
  });

  it('tells of a code in the reference only', () => {
    expect(checkErrorCodes([], page(explained))).toEqual(['docs/reference/errors/a.md: A_BROKE is explained, but nothing in src has it']);
  });

  it('tells of a section that says nothing, stands out of order, or is no code', () => {
    const text = '### B_BROKE\n\n### A_BROKE\n\nIt broke.\n\n### Broken\n\nIt broke.\n';
    const problems = checkErrorCodes(source("f({ code: 'A_BROKE' }, { code: 'B_BROKE' })"), page(text)).join('\n');
    expect(problems).toMatch(/B_BROKE says nothing/);
    expect(problems).toMatch(/A_BROKE is out of order/);
    expect(problems).toMatch(/"Broken" is not a code/);
  });

  it('tells of a code that is explained twice', () => {
    const problems = checkErrorCodes(source("f({ code: 'A_BROKE' })"), [
      ...page(explained),
      ...page(explained, 'docs/reference/errors/b.md'),
    ]);
    expect(problems).toEqual(['docs/reference/errors/b.md: A_BROKE is explained twice, in docs/reference/errors/a.md too']);
  });
});
