import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { ROOT, type SourceFile, type WorkspacePackage } from './read-workspace.js';

export interface CodeBlock {
  /** The page, relative to the workspace's root. */
  readonly page: string;
  /** From 1; where the code begins. */
  readonly line: number;
  readonly code: string;
  /** The file that the block is a part of (```ts file=examples/a.ts), relative to the page. */
  readonly file?: string;
}

/** Every ```ts block of a page. */
export const readCodeBlocks = ({ path, text }: SourceFile): readonly CodeBlock[] =>
  [...text.matchAll(/^```(?:ts|typescript)(?:[ \t]+file=(\S+))?[ \t]*\n([\s\S]*?)^```[ \t]*$/gm)].map(
    ({ index, 0: whole, 1: file, 2: code = '' }) => ({
      page: path,
      line: text.slice(0, index + whole.indexOf('\n') + 1).split('\n').length,
      code,
      ...(file === undefined ? {} : { file }),
    }),
  );

const readOptions = (): ts.CompilerOptions => {
  const { config } = ts.readConfigFile(join(ROOT, 'tsconfig.base.json'), ts.sys.readFile);
  return {
    ...ts.parseJsonConfigFileContent(config, ts.sys, ROOT, { noEmit: true }).options,
    noUnusedLocals: false,
    typeRoots: [join(ROOT, 'node_modules/@types')],
  };
};

/** Files on the disk, parsed once for all programs: most of the time goes into them. */
const parsed = new Map<string, ts.SourceFile | undefined>();

/** What is written in docs lies outside of every package, so a name is looked up as each of the packages would. */
const createHost = (
  options: ts.CompilerOptions,
  written: ReadonlyMap<string, string>,
  workspace: readonly WorkspacePackage[],
): ts.CompilerHost => {
  const host = ts.createCompilerHost(options);
  const faces = new Map(workspace.map(({ manifest, folder }) => [manifest.name, join(ROOT, folder, 'src/index.ts')]));
  const resolve = (name: string, from: string): ts.ResolvedModuleFull | undefined => {
    const face = faces.get(name);
    if (face !== undefined) return { resolvedFileName: face, extension: ts.Extension.Ts, isExternalLibraryImport: false };
    const places = [from, ...workspace.map(({ folder }) => join(ROOT, folder, 'src/index.ts'))];
    for (const place of name.startsWith('.') ? [from] : places) {
      const { resolvedModule } = ts.resolveModuleName(name, place, options, host);
      if (resolvedModule !== undefined) return resolvedModule;
    }
    return undefined;
  };
  return {
    ...host,
    fileExists: (path) => written.has(path) || host.fileExists(path),
    readFile: (path) => written.get(path) ?? host.readFile(path),
    getSourceFile: (path, version) => {
      const text = written.get(path);
      if (text !== undefined) return ts.createSourceFile(path, text, version);
      if (!parsed.has(path)) parsed.set(path, host.getSourceFile(path, version));
      return parsed.get(path);
    },
    resolveModuleNameLiterals: (literals, from) => literals.map(({ text }) => ({ resolvedModule: resolve(text, from) })),
  };
};

export interface DocsCode {
  readonly pages: readonly SourceFile[];
  /** Files of code that lie among the pages, relative to the workspace's root. */
  readonly files: readonly string[];
  readonly workspace: readonly WorkspacePackage[];
}

/** A quotation may stand further to the left than its original. */
const withoutIndentation = (text: string): string => text.replaceAll(/^[ \t]+/gm, '');

const checkQuote = ({ page, line, code, file }: CodeBlock): readonly string[] => {
  if (file === undefined) return [];
  const path = join(ROOT, dirname(page), file);
  if (!existsSync(path)) return [`${page}:${line}: there is no ${file}`];
  const original = withoutIndentation(readFileSync(path, 'utf8'));
  return original.includes(withoutIndentation(code)) ? [] : [`${page}:${line}: the block is not a part of ${file}`];
};

/** Every type error in code that the docs show, and every block that is not what its file says. */
export const checkDocsCode = ({ pages, files, workspace }: DocsCode): readonly string[] => {
  const blocks = pages.flatMap(readCodeBlocks);
  const alone = blocks.filter((block) => block.file === undefined);
  // A module of its own, beside its page; an export makes it one also where it imports nothing.
  const written = new Map(alone.map(({ page, line, code }) => [join(ROOT, `${page}.${line}.ts`), `${code}\nexport {};\n`]));
  const options = readOptions();
  const program = ts.createProgram(
    [...written.keys(), ...files.map((file) => join(ROOT, file))],
    options,
    createHost(options, written, workspace),
  );
  const own = new Set([...written.keys(), ...files.map((file) => join(ROOT, file))]);
  const problems = program
    .getSourceFiles()
    .filter((file) => own.has(file.fileName))
    .flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
    .map(({ file, start = 0, messageText }) => {
      const at = file?.getLineAndCharacterOfPosition(start).line ?? 0;
      const path = file?.fileName.slice(ROOT.length) ?? '';
      const block = alone.find(({ page, line }) => path === `${page}.${line}.ts`);
      const where = block === undefined ? `${path}:${at + 1}` : `${block.page}:${block.line + at}`;
      return `${where}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
    });
  return [...blocks.flatMap(checkQuote), ...problems];
};
