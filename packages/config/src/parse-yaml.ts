import { type Document, parseDocument } from 'yaml';
import type { ConfigProblem } from './config-problem.js';
import { createProblemReport } from './problem-report.js';
import { findLimitBreach } from './source-limits.js';

export type ParsedYaml = { readonly document: Document } | { readonly problems: readonly ConfigProblem[] };

/** The parser quotes what it stumbles over; that may be a secret. Single characters are its own. */
export const withoutQuotes = (message: string): string => message.replace(/"(?:[^"\\]|\\.){2,}"/g, '"…"');

/** Parses one YAML document, of any origin: what is too large or too deeply nested is refused before the parser sees it. */
export const parseYaml = (file: string, text: string): ParsedYaml => {
  const report = createProblemReport({ file, text, entries: new Map() });
  try {
    const breach = findLimitBreach(text);
    if (breach !== undefined) {
      report.addAtOffset(breach.offset, [], { code: 'CONFIG_TOO_LARGE', message: breach.message });
      return { problems: report.problems };
    }
    // Repeated keys are told apart later, with their names. With `logLevel: 'silent'` a second document would be ignored.
    const document = parseDocument(text, { prettyErrors: false, uniqueKeys: false, schema: 'core' });
    for (const error of document.errors)
      report.addAtOffset(error.pos[0], [], {
        code: 'CONFIG_SYNTAX',
        message: withoutQuotes(error.code === 'MULTIPLE_DOCS' ? 'A second document begins here; only one is read' : error.message),
      });
    return report.problems.length > 0 ? { problems: report.problems } : { document };
  } catch (error) {
    report.addAtOffset(0, [], {
      code: 'CONFIG_SYNTAX',
      message: `This is no YAML that can be read (${error instanceof Error ? error.name : 'unknown error'})`,
    });
    return { problems: report.problems };
  }
};
