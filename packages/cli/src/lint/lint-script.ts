import { constants } from 'node:fs';
import type { LintFinding } from './finding.js';
import { readStart } from './read-working-copy.js';

/** Source: BINPRM_BUF_SIZE of Linux: no more of a first line is read. */
const MAX_SHEBANG_BYTES = 256;
const ELF = '\u007fELF';
const ANY_EXECUTE = constants.S_IXUSR | constants.S_IXGRP | constants.S_IXOTH;

const lintStart = (script: string, start: string): readonly LintFinding[] => {
  if (start.startsWith(ELF)) return [];
  const [first = ''] = start.split('\n');
  const finding = (rule: string, what: string, hint: string): LintFinding => ({ rule, level: 'error', where: `${script}:1`, what, hint });
  if (start.startsWith('\u00ef\u00bb\u00bf'))
    return [
      finding(
        'script-byte-order-mark',
        'It begins with a byte order mark, so its first line is not seen',
        'Save it as UTF-8 without a byte order mark.',
      ),
    ];
  if (!first.startsWith('#!')) return [finding('script-shebang-missing', 'It does not say what runs it', 'Begin it with #!/bin/sh.')];
  if (first.includes('\r'))
    return [
      finding(
        'script-shebang-crlf',
        'Its first line ends with a carriage return, so its interpreter is not found',
        `Save it with Unix line ends: sed -i 's/\\r$//' ${script}; and add "script/* text eol=lf" to .gitattributes.`,
      ),
    ];
  if (!/^#!\s*\//.test(first))
    return [
      finding('script-shebang-relative', 'Its interpreter is not an absolute path', 'Begin it with #!/bin/sh or #!/usr/bin/env <program>.'),
    ];
  return [];
};

/** Whether a script is there, executable and can be started. */
export const lintScript = async (folder: string, script: string, isRequired: boolean): Promise<readonly LintFinding[]> => {
  const found = await readStart(folder, script, MAX_SHEBANG_BYTES);
  if (found.state === 'missing')
    return isRequired
      ? [
          {
            rule: 'script-missing',
            level: 'error',
            where: script,
            what: 'It does not exist',
            hint: 'Write it with pipit init --repository; it may just exit 0.',
          },
        ]
      : [];
  if (found.state === 'refused')
    return [
      {
        rule: 'script-not-a-file',
        level: 'error',
        where: script,
        what: 'It is not a file of this repository',
        hint: 'Make it an executable file; it may just exit 0.',
      },
    ];
  const findings: LintFinding[] = [];
  const { mode, start } = found.content;
  if ((mode & ANY_EXECUTE) === 0)
    findings.push({
      rule: 'script-not-executable',
      level: 'error',
      where: script,
      what: 'It is not executable',
      hint: `chmod +x ${script}; git add ${script}`,
    });
  return [...findings, ...lintStart(script, start)];
};
