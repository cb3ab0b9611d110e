import { readFileSync } from 'node:fs';
import { createSecret, definePlugin } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { coreConfigSchema, formatProblems } from '../src/index.js';
import { load } from './sample-plugins.js';

const page = readFileSync(new URL('../../../docs/reference/config.md', import.meta.url), 'utf8');
const blocks = (language: string): readonly string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map((match) => match[1] ?? '');

/** Stands for every plugin that the page names: config checks pipit's own part, and each plugin's tests check its own page. */
const anyPlugin = definePlugin({
  name: 'any',
  config: z.looseObject({ token: z.string().transform(createSecret).optional() }),
  provides: {
    trigger: { version: 1 },
    ci: { version: 1, options: z.looseObject({}) },
    packager: { version: 1 },
    repository: { version: 1 },
    discovery: { version: 1 },
    advertiser: { version: 1 },
    deployer: { version: 1 },
    transport: { version: 1 },
    notifier: { version: 1, options: z.looseObject({}) },
  },
  setup: () => {
    throw new Error('never set up');
  },
});

const read = (text: string) =>
  load(text, {
    file: 'pipit.yaml',
    environment: { DATABASE_URL: 'postgres://db/pipit', DATABASE_OWNER_URL: 'postgres://owner@db/pipit' },
    readFile: () => 'a-token\n',
    loadPlugin: async () => anyPlugin,
  });

describe('docs/reference/config.md', () => {
  it.each(blocks('yaml').map((text, index) => [index + 1, text] as const))('has a valid sample %i', async (_number, text) => {
    const result = await read(text);
    expect(result.ok ? [] : formatProblems(result.problems)).toEqual([]);
    expect(result.ok && result.warnings).toEqual([]);
  });

  it('has samples', () => {
    expect(blocks('yaml').length).toBeGreaterThanOrEqual(4);
  });

  it('shows an error as it is printed', async () => {
    const text = (blocks('yaml')[0] ?? '').replace('trigger:', 'trigr:');
    const result = await read(text);
    const problems = result.ok ? [] : result.problems.filter((problem) => problem.code === 'UNKNOWN_KEY');
    expect(`${formatProblems(problems)}\n`).toBe(blocks('text')[0]);
  });

  it('names every key of the schema in code', () => {
    const keys = new Set<string>();
    const collect = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      if ('properties' in node && typeof node.properties === 'object' && node.properties !== null)
        for (const key of Object.keys(node.properties)) keys.add(key);
      for (const child of Object.values(node)) collect(child);
    };
    collect(z.toJSONSchema(coreConfigSchema, { io: 'input' }));
    const inCode = new Set([...page.matchAll(/`([^`\n]+)`/g)].flatMap((match) => (match[1] ?? '').split(/[^A-Za-z]+/)));
    expect(keys.size).toBeGreaterThan(30);
    expect([...keys].filter((key) => !inCode.has(key))).toEqual([]);
  });
});
