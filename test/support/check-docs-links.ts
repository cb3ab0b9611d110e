import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { ROOT, type SourceFile } from './read-workspace.js';

const withoutCode = (text: string): string => text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '');

/** As GitHub makes a heading's anchor. */
const anchorOf = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');

const anchorsOf = (text: string): readonly string[] => [...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));

/** Every link within the repository that leads nowhere. */
export const checkDocsLinks = (pages: readonly SourceFile[]): readonly string[] =>
  pages.flatMap(({ path, text }) =>
    [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
      if (/^[a-z]+:/.test(target)) return [];
      const [file = '', anchor] = target.split('#');
      const place = join(ROOT, dirname(path), file);
      if (file !== '' && (relative(ROOT, place).startsWith('..') || !existsSync(place))) return [`${path}: there is no ${target}`];
      if (anchor === undefined || anchorsOf(file === '' ? text : readFileSync(place, 'utf8')).includes(anchor)) return [];
      return [`${path}: ${file === '' ? 'the page' : file} has no heading #${anchor}`];
    }),
  );
