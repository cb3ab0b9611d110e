import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkDocsCode, readCodeBlocks } from './support/check-docs-code.js';
import { checkDocsConfig, readConfigBlocks } from './support/check-docs-config.js';
import { checkDocsLinks } from './support/check-docs-links.js';
import { listFiles, ROOT, readMarkdown, readWorkspace, type SourceFile } from './support/read-workspace.js';

/** A compiler's run, on a machine that other tests use too. */
const COMPILE_TIMEOUT_MS = 120_000;

const workspace = readWorkspace();
const readPage = (path: string): readonly SourceFile[] =>
  existsSync(join(ROOT, path)) ? [{ path, text: readFileSync(join(ROOT, path), 'utf8') }] : [];
const readmes = ['README.md', 'CONTRIBUTING.md', ...workspace.map((unit) => `${unit.folder}/README.md`)].flatMap(readPage);

const pages = [...readMarkdown('docs'), ...readmes];

it('compiles every piece of TypeScript that the docs and READMEs show', { timeout: COMPILE_TIMEOUT_MS }, () => {
  const files = listFiles(join(ROOT, 'docs'))
    .filter((file) => file.endsWith('.ts'))
    .map((file) => `docs/${file}`);
  expect(files).toContain('docs/plugins/examples/smithy-plugin.ts');
  expect(checkDocsCode({ pages, files, workspace })).toEqual([]);
});

it('shows only configs that are valid', async () => {
  expect(pages.flatMap(readConfigBlocks).map((block) => block.page)).toEqual(expect.arrayContaining(['README.md', 'docs/operations.md']));
  expect(await checkDocsConfig(pages)).toEqual([]);
});

it('has no link that leads nowhere', () => {
  expect(checkDocsLinks(pages)).toEqual([]);
});

it('lists every page of errors in the index', () => {
  const index = pages.find(({ path }) => path === 'docs/reference/errors.md')?.text ?? '';
  const listed = [...index.matchAll(/\]\((errors\/[^)]+)\)/g)].map(([, page]) => `docs/reference/${page}`);
  expect(listed.sort()).toEqual(readMarkdown('docs/reference/errors').map(({ path }) => path));
});

describe('the check of configs in docs', () => {
  it('tells of a problem by its page and place, and leaves other YAML alone', async () => {
    const text = '# A\n\n```yaml\nservices: [web]\n```\n\n```yaml\n# pipit.config.yaml\npipelnes: {}\n```\n';
    const problems = await checkDocsConfig([{ path: 'docs/a.md', text }]);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^docs\/a\.md:8: .*"?pipelnes/s);
  });
});

describe('the check of links in docs', () => {
  it('tells of a missing file and a missing heading, and of nothing in code or elsewhere', () => {
    const text = '# One heading\n\n[a](gone.md) [b](#one-heading) [c](#two) [d](https://example.org/x) `[e](gone.md)`\n';
    expect(checkDocsLinks([{ path: 'docs/index.md', text }])).toEqual([
      'docs/index.md: there is no gone.md',
      'docs/index.md: the page has no heading #two',
    ]);
  });
});

describe('the check of code in docs', { timeout: COMPILE_TIMEOUT_MS }, () => {
  const page = (text: string): SourceFile => ({ path: 'docs/plugins/a-page.md', text });
  const check = (text: string) => checkDocsCode({ pages: [page(text)], files: [], workspace });

  it('finds the blocks of TypeScript and their lines, and no others', () => {
    const text =
      '# A\n\n```ts\nconst a = 1;\n```\n\n```sh\nls\n```\n\n```typescript\nlet b;\nlet c;\n```\n\n```ts file=examples/a.ts\nlet d;\n```\n';
    expect(readCodeBlocks(page(text))).toEqual([
      { page: 'docs/plugins/a-page.md', line: 4, code: 'const a = 1;\n' },
      { page: 'docs/plugins/a-page.md', line: 12, code: 'let b;\nlet c;\n' },
      { page: 'docs/plugins/a-page.md', line: 17, code: 'let d;\n', file: 'examples/a.ts' },
    ]);
  });

  it('tells of an error by the page and line where it stands', () => {
    const text = [
      "```ts\nimport { parseAppName, createSecret } from '@pipit/core';\nimport { z } from 'zod';\n",
      'export const app: string = parseAppName(z.string().parse("web"));\nexport const wrong: number = createSecret("a");\n```\n',
      '\n```ts\nimport { notThere } from "@pipit/core";\nimport "no-such-package";\nconst = 1;\n```\n',
    ].join('');
    const problems = check(text);
    expect(problems).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^docs\/plugins\/a-page\.md:5: Type 'Secret' is not assignable to type 'number'/),
        expect.stringMatching(/^docs\/plugins\/a-page\.md:9: .*no exported member 'notThere'/),
        expect.stringMatching(/^docs\/plugins\/a-page\.md:11: /),
      ]),
    );
    expect(problems.filter((problem) => /a-page\.md:[2-4]:/.test(problem))).toEqual([]);
  });

  it('lets a name stand in two blocks', () => {
    expect(check('```ts\nconst a = 1;\n```\n\n```ts\nconst a = 2;\n```\n')).toEqual([]);
  });

  it('tells of a block that is not a part of its file, and of a file that is not there', () => {
    const text = '```ts file=examples/smithy-plugin.ts\nexport const other = 1;\n```\n\n```ts file=examples/missing.ts\n```\n';
    expect(check(text)).toEqual([
      'docs/plugins/a-page.md:2: the block is not a part of examples/smithy-plugin.ts',
      'docs/plugins/a-page.md:6: there is no examples/missing.ts',
    ]);
  });
});
