import ts from 'typescript';

export interface Import {
  readonly specifier: string;
  /** Gone after compilation: `import type`, `export type`, `import('x')` in a type, or every name marked `type`. */
  readonly typeOnly: boolean;
  /** From 1. */
  readonly line: number;
}

export interface Finding {
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

const parse = (path: string, text: string): ts.SourceFile => ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);

const walk = (node: ts.Node, visit: (node: ts.Node) => void): void => {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
};

const lineOf = (file: ts.SourceFile, node: ts.Node): number => file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;

const isTypeOnlyImport = (clause: ts.ImportClause | undefined): boolean => {
  if (clause === undefined) return false; // import './side-effect.js'
  if (clause.isTypeOnly) return true;
  const bindings = clause.namedBindings;
  return (
    clause.name === undefined &&
    bindings !== undefined &&
    ts.isNamedImports(bindings) &&
    bindings.elements.length > 0 &&
    bindings.elements.every((name) => name.isTypeOnly)
  );
};

const isTypeOnlyExport = (node: ts.ExportDeclaration): boolean =>
  node.isTypeOnly ||
  (node.exportClause !== undefined &&
    ts.isNamedExports(node.exportClause) &&
    node.exportClause.elements.length > 0 &&
    node.exportClause.elements.every((name) => name.isTypeOnly));

const importAt = (node: ts.Node): { readonly specifier: ts.Node | undefined; readonly typeOnly: boolean } | undefined => {
  if (ts.isImportDeclaration(node)) return { specifier: node.moduleSpecifier, typeOnly: isTypeOnlyImport(node.importClause) };
  if (ts.isExportDeclaration(node)) return { specifier: node.moduleSpecifier, typeOnly: isTypeOnlyExport(node) };
  if (ts.isImportTypeNode(node))
    return { specifier: ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, typeOnly: true };
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
    return { specifier: node.arguments[0], typeOnly: false };
  return undefined;
};

/** Every module that a file names in a literal: imports, re-exports, dynamic imports and imports in types. */
export const readImports = (path: string, text: string): readonly Import[] => {
  const file = parse(path, text);
  const imports: Import[] = [];
  walk(file, (node) => {
    const found = importAt(node);
    if (found?.specifier !== undefined && ts.isStringLiteralLike(found.specifier))
      imports.push({ specifier: found.specifier.text, typeOnly: found.typeOnly, line: lineOf(file, node) });
  });
  return imports;
};

/** `export *` in any of its forms but `export * as name`. */
export const readStarExports = (path: string, text: string): readonly Finding[] => {
  const file = parse(path, text);
  return file.statements
    .filter((node) => ts.isExportDeclaration(node) && node.exportClause === undefined)
    .map((node) => ({ text: node.getText(file), line: lineOf(file, node) }));
};

/** Objects that are not given but taken from the air: the machine's clock, its dice and its environment. */
const AMBIENT: readonly { readonly object: string; readonly names: readonly string[] }[] = [
  { object: 'Date', names: ['now'] },
  { object: 'Math', names: ['random'] },
  { object: 'process', names: ['env'] },
];

const ambientAt = (node: ts.Node): string | undefined => {
  for (const { object, names } of AMBIENT) {
    if (ts.isPropertyAccessExpression(node) && endsWith(node.expression, object) && names.includes(node.name.text))
      return `${object}.${node.name.text}`;
    if (
      ts.isElementAccessExpression(node) &&
      endsWith(node.expression, object) &&
      ts.isStringLiteralLike(node.argumentExpression) &&
      names.includes(node.argumentExpression.text)
    )
      return `${object}.${node.argumentExpression.text}`;
    if (
      ts.isVariableDeclaration(node) &&
      node.initializer !== undefined &&
      endsWith(node.initializer, object) &&
      ts.isObjectBindingPattern(node.name)
    ) {
      const taken = node.name.elements
        .map((element) => (element.propertyName ?? element.name).getText())
        .find((name) => names.includes(name));
      if (taken !== undefined) return `${object}.${taken}`;
    }
  }
  if (ts.isNewExpression(node) && node.expression.getText() === 'Date' && (node.arguments?.length ?? 0) === 0) return 'new Date()';
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier) && /^(?:node:)?process$/.test(node.moduleSpecifier.text)) {
    const bindings = node.importClause?.namedBindings;
    if (
      bindings !== undefined &&
      ts.isNamedImports(bindings) &&
      bindings.elements.some((name) => (name.propertyName ?? name.name).text === 'env')
    )
      return 'process.env';
  }
  return undefined;
};

const endsWith = (node: ts.Expression, object: string): boolean =>
  (ts.isIdentifier(node) && node.text === object) ||
  (ts.isPropertyAccessExpression(node) && node.name.text === object && node.expression.getText() === 'globalThis');

/** Every use of the machine's clock, dice or environment. */
export const readAmbientUses = (path: string, text: string): readonly Finding[] => {
  const file = parse(path, text);
  const uses: Finding[] = [];
  walk(file, (node) => {
    const use = ambientAt(node);
    if (use !== undefined) uses.push({ text: use, line: lineOf(file, node) });
  });
  return uses;
};

const literalsOf = (node: ts.Expression): readonly string[] => {
  if (ts.isStringLiteralLike(node)) return [node.text];
  if (ts.isConditionalExpression(node)) return [...literalsOf(node.whenTrue), ...literalsOf(node.whenFalse)];
  if (ts.isAsExpression(node) || ts.isParenthesizedExpression(node) || ts.isSatisfiesExpression(node)) return literalsOf(node.expression);
  return [];
};

/** An error code of ours has two words at least, unlike errno's `ENOENT`, and is not one of Fastify's (`FST_ERR_...`). */
export const ERROR_CODE = /^(?!FST_ERR_)[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+$/;

/** Every literal `code: 'UPPER_CASE'` of a file's values (types do not count). */
export const readErrorCodes = (path: string, text: string): readonly Finding[] => {
  const file = parse(path, text);
  const codes: Finding[] = [];
  walk(file, (node) => {
    if (!ts.isPropertyAssignment(node) || !(ts.isIdentifier(node.name) || ts.isStringLiteral(node.name)) || node.name.text !== 'code')
      return;
    for (const code of literalsOf(node.initializer).filter((text) => ERROR_CODE.test(text)))
      codes.push({ text: code, line: lineOf(file, node) });
  });
  return codes;
};
