import { parseAppName } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { parseRepositoryFile } from '../src/index.js';

const app = parseAppName('web');
const parse = (text: string) => parseRepositoryFile(text, { file: 'pipit.yaml', app });

describe('parseRepositoryFile', () => {
  it('gives the conventions for an empty file', () => {
    expect(parse('')).toEqual({
      ok: true,
      facts: {
        metadata: { description: 'web', depends: [], architectures: ['all'], prefix: '/opt/web', configFiles: [], services: [] },
        baseVersion: undefined,
        role: undefined,
        health: undefined,
      },
    });
  });

  it('reads services and a health check with its unit', () => {
    const parsed = parse('services: [web]\nhealth: { type: http, port: 8080, path: /healthz, within: 5s }\n');
    expect(parsed).toMatchObject({
      ok: true,
      facts: { metadata: { services: ['web'] }, health: { type: 'http', port: 8080, path: '/healthz', withinMs: 5000 } },
    });
  });

  it.each([
    ['hosts: [a]', 'UNKNOWN_KEY'],
    ['rings: []', 'UNKNOWN_KEY'],
    ['gates: []', 'UNKNOWN_KEY'],
    ['approval: {}', 'UNKNOWN_KEY'],
    ['prefix: /opt/../etc', 'INVALID_VALUE'],
    ['prefix: opt', 'INVALID_VALUE'],
    ['services: [-f]', 'INVALID_SERVICE'],
    ['description: "a\\nDepends: x"', 'INVALID_VALUE'],
    ['description: { $env: HOME }', 'REFERENCE_NOT_ALLOWED'],
    ['a: [', 'CONFIG_SYNTAX'],
    ['depends: [a]\ndepends: [b]', 'DUPLICATE_KEY'],
  ])('refuses %s with %s and its place', (text, code) => {
    const parsed = parse(text);
    expect(parsed.ok).toBe(false);
    const problems = parsed.ok ? [] : parsed.problems;
    expect(problems.map((problem) => problem.code)).toContain(code);
    expect(problems.every((problem) => problem.line >= 1 && problem.column >= 1)).toBe(true);
  });
});
