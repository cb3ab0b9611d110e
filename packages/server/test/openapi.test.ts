import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TOKEN } from './support/fake-runtime.js';
import { serve } from './support/serve.js';

interface Operation {
  readonly tags: readonly string[];
  readonly summary: string;
  readonly security?: readonly unknown[];
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly description?: string }[];
  readonly requestBody?: {
    readonly required: boolean;
    readonly content: Readonly<Record<string, { readonly schema: { readonly properties: Readonly<Record<string, unknown>> } }>>;
  };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Readonly<Record<string, unknown>> }>>;
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const readDocument = async (): Promise<Document> => {
  const { url } = await serve();
  const response = await fetch(`${url}/openapi.json`, { headers: { authorization: `Bearer ${TOKEN}` } });
  expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
  return (await response.json()) as Document;
};

const operationsOf = ({ paths }: Document) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );

const refsOf = (text: string): readonly string[] =>
  [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].flatMap((match) => match[1] ?? []);

describe('/openapi.json', () => {
  it('is a document of 3.1 whose references all lead somewhere, and no schema stands for nothing', async () => {
    const document = await readDocument();
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'pipit', version: '1.2.3' } });
    expect(JSON.stringify(document)).not.toContain('Default Response');
    expect([...new Set(refsOf(JSON.stringify(document)))].sort()).toEqual(Object.keys(document.components.schemas).sort());
  });

  it('names every call, what it may be refused with, and the token everywhere but at hooks and probes', async () => {
    const operations = operationsOf(await readDocument());
    expect(operations.map(({ method, path }) => `${method} ${path}`)).toContain('POST /api/apps/{app}/promote');
    for (const { method, path, operation } of operations) {
      expect(operation.summary, path).toEqual(expect.any(String));
      const isOpen = operation.tags.includes('hook') || path === '/healthz' || path === '/readyz';
      expect(operation.security === undefined, path).toBe(isOpen);
      if (!isOpen) expect(operation.responses, path).toHaveProperty('401');
      if (method === 'POST' && path.startsWith('/api/')) expect(operation.tags, path).toEqual(['command']);
    }
  });

  it('says what may be left out, and what parameters mean', async () => {
    const { paths } = await readDocument();
    const promote = paths['/api/apps/{app}/promote']?.post;
    expect(promote?.requestBody?.required).toBe(false);
    expect(Object.keys(promote?.requestBody?.content['application/json']?.schema.properties ?? {})).toEqual([
      'role',
      'ring',
      'ifCanary',
      'reason',
    ]);
    expect(JSON.stringify(promote?.requestBody)).toContain('another one there is a conflict');
    expect(paths['/api/reconcile']?.post?.requestBody?.required).toBe(true);
    expect(paths['/api/runs']?.get?.parameters).toContainEqual(
      expect.objectContaining({ name: 'limit', in: 'query', description: expect.stringContaining('50') }),
    );
    expect(Object.keys(paths['/api/changes']?.get?.responses['200']?.content ?? {})).toEqual(['text/event-stream']);
  });

  it('says the same as the table in docs/reference/api.md', async () => {
    const rows = operationsOf(await readDocument()).map(({ method, path, operation }) => {
      const given = [
        ...(operation.parameters ?? []).filter((parameter) => parameter.in === 'query').map((parameter) => `\`${parameter.name}\``),
        ...Object.keys(operation.requestBody?.content['application/json']?.schema.properties ?? {}).map((name) => `\`${name}\``),
      ];
      return `| \`${method} ${path}\` | ${operation.summary} | ${given.join(', ')} | ${operation.security === undefined ? '' : 'yes'} |`;
    });
    const page = readFileSync(new URL('../../../docs/reference/api.md', import.meta.url), 'utf8');
    const table = page.split('\n').filter((line) => /^\| `(?:GET|POST)/.test(line));
    // When this fails, the lines it expects are what belongs into the page.
    expect(table).toEqual(rows);
  });
});
