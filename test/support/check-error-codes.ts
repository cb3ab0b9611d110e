import { ERROR_CODE, readErrorCodes } from './read-source.js';
import type { SourceFile } from './read-workspace.js';

interface Section {
  readonly code: string;
  readonly path: string;
  readonly body: string;
}

const readSections = ({ path, text }: SourceFile): readonly Section[] =>
  text
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [heading = '', ...body] = section.split('\n');
      return { code: heading.trim(), path, body: body.join('\n').trim() };
    });

const checkPage = (path: string, sections: readonly Section[]): readonly string[] => {
  const codes = sections.map((section) => section.code);
  const misplaced = codes.find((code, index) => index > 0 && code < (codes[index - 1] ?? ''));
  return [
    ...codes.filter((code) => !ERROR_CODE.test(code)).map((code) => `${path}: "${code}" is not a code of upper-case words`),
    ...(misplaced === undefined ? [] : [`${path}: ${misplaced} is out of order; sections are sorted by code`]),
    ...sections
      .filter((section) => section.body === '')
      .map((section) => `${path}: ${section.code} says nothing; write what happened and what to do`),
  ];
};

/** Every difference between the codes that source names and those that the reference explains. */
export const checkErrorCodes = (sources: readonly SourceFile[], pages: readonly SourceFile[]): readonly string[] => {
  const thrown = new Map<string, string>();
  for (const file of sources)
    for (const { text, line } of readErrorCodes(file.path, file.text)) if (!thrown.has(text)) thrown.set(text, `${file.path}:${line}`);
  const problems: string[] = [];
  const documented = new Map<string, string>();
  for (const page of pages) {
    const sections = readSections(page);
    problems.push(...checkPage(page.path, sections));
    for (const { code, path } of sections) {
      const other = documented.get(code);
      if (other !== undefined) problems.push(`${path}: ${code} is explained twice, in ${other} too`);
      documented.set(code, path);
    }
  }
  for (const [code, where] of thrown)
    if (!documented.has(code)) problems.push(`${where}: ${code} is not explained in docs/reference/errors`);
  for (const [code, path] of documented) if (!thrown.has(code)) problems.push(`${path}: ${code} is explained, but nothing in src has it`);
  return problems;
};
