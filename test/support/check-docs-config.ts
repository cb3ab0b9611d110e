import { formatProblems, loadConfig } from '../../packages/config/src/index.js';
import { plugin as local } from '../../plugins/local/src/index.js';
import type { SourceFile } from './read-workspace.js';

export interface ConfigBlock {
  readonly page: string;
  /** From 1; where the config begins. */
  readonly line: number;
  readonly text: string;
}

/** Every ```yaml block that begins with the line `# pipit.config.yaml`: a whole config file. */
export const readConfigBlocks = ({ path, text }: SourceFile): readonly ConfigBlock[] =>
  [...text.matchAll(/^```ya?ml[ \t]*\n(# pipit\.config\.yaml\n[\s\S]*?)^```[ \t]*$/gm)].map(({ index, 0: whole, 1: config = '' }) => ({
    page: path,
    line: text.slice(0, index + whole.indexOf('\n') + 1).split('\n').length,
    text: config,
  }));

/** What a sample's references give: long enough for any secret. */
const REFERENCED = 'a-text-of-no-meaning-0123456789';

/** Every problem and warning of the configs that the docs show. Our plugins check their own part; one that is not ours is an error. */
export const checkDocsConfig = async (pages: readonly SourceFile[]): Promise<readonly string[]> => {
  const problems: string[] = [];
  for (const { page, line, text } of pages.flatMap(readConfigBlocks)) {
    const result = await loadConfig({
      file: `/${page}`,
      text,
      environment: Object.fromEntries([...text.matchAll(/\$env: (\w+)/g)].map(([, name = '']) => [name, REFERENCED])),
      readFile: async () => REFERENCED,
      loadPlugin: async (uses) => {
        if (uses === '@pipit/plugin-local') return local;
        throw new Error(`the docs show ${uses}, which is not there`);
      },
      redact: () => undefined,
    });
    const found = result.ok ? result.warnings : result.problems;
    if (found.length > 0) problems.push(`${page}:${line}: ${formatProblems(found)}`);
  }
  return problems;
};
