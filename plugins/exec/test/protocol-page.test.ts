import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { parseAnswer } from '../src/call-program.js';
import { description, envelope, HOOKS, METHODS, type Method, PROTOCOL_VERSION } from '../src/protocol.js';

const page = await readFile(new URL('../../../docs/plugins/programs.md', import.meta.url), 'utf8');

const rows = [...page.matchAll(/^\| (\w+) \| (\w+) \| (yes|no) \| (.+) \| (.+) \|$/gm)].map(([, kind, method, needed, request]) => ({
  kind,
  method,
  needed,
  prepared: [...(request ?? '').matchAll(/`paths\.(\w+)`/g)].map(([, name]) => name),
}));

const table = Object.entries({ ...METHODS, plugin: HOOKS }).flatMap(([kind, methods]) =>
  Object.entries<Method>(methods).map(([method, { isRequired, prepares = [] }]) => ({
    kind,
    method,
    needed: isRequired === true ? 'yes' : 'no',
    prepared: prepares,
  })),
);

const blocks = [...page.matchAll(/```json (\S+)\n([\s\S]*?)```/g)].map(([, info = '', text = '']) => ({ info, text }));

const schemaOf = (name: string) => {
  if (name === 'describe') return description;
  const [kind = '', method = ''] = name.split('.');
  return Object.entries(METHODS).find(([one]) => one === kind)?.[1][method]?.answer ?? expect.fail(`no method ${name}`);
};

describe('the page of the protocol', () => {
  it('lists each method that pipit calls, whether it is needed, and what is prepared for it', () => {
    expect(rows).toEqual(table);
  });

  it('names the version', () => {
    expect(page).toContain(`This is version ${PROTOCOL_VERSION} of the protocol`);
  });

  it.each(blocks.filter(({ info }) => info === 'answer'))('shows an answer in its envelope: $text', ({ text }) => {
    expect(envelope.safeParse(JSON.parse(text)).error).toBeUndefined();
  });

  it.each(blocks.filter(({ info }) => info.startsWith('answer=')))('shows an answer that pipit takes: $info', ({ info, text }) => {
    const method = info.slice('answer='.length);
    expect(parseAnswer(text, { program: 'my-ci', method, recovery: 'stop' }, schemaOf(method))).toBeDefined();
  });
});
