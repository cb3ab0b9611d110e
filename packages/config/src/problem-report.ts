import { type ConfigPath, pathKey, showPath } from './config-path.js';
import type { ConfigProblem, ProblemText } from './config-problem.js';
import { createLineIndex } from './line-index.js';
import { renderFrame } from './render-frame.js';
import type { Entry } from './source-tree.js';

export interface Location {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Finds places of one config file and collects what is wrong there. */
export interface ProblemReport {
  readonly problems: readonly ConfigProblem[];
  /** At the value of `path`; where it is missing, at the key of the nearest place around it that exists. */
  add(path: ConfigPath, problem: ProblemText): void;
  addAtKey(path: ConfigPath, problem: ProblemText): void;
  addAtOffset(offset: number, path: ConfigPath, problem: ProblemText): void;
  locate(path: ConfigPath): Location;
}

export interface ReportOptions {
  readonly file: string;
  readonly text: string;
  readonly entries: ReadonlyMap<string, Entry>;
  /** Stretches of the text that are not shown; undefined: no line is shown. */
  readonly hidden?: readonly (readonly [number, number])[];
}

export const createProblemReport = ({ file, text, entries, hidden }: ReportOptions): ProblemReport => {
  const positionOf = createLineIndex(text);
  const problems: ConfigProblem[] = [];

  const addAtOffset = (offset: number, path: ConfigPath, problem: ProblemText): void => {
    const { line, column } = positionOf(offset);
    const frame = hidden === undefined ? undefined : renderFrame({ text, offset, line, hidden });
    problems.push({
      file,
      line,
      column,
      path: showPath(path),
      code: problem.code,
      message: problem.message,
      ...(problem.expected === undefined ? {} : { expected: problem.expected }),
      ...(problem.hint === undefined ? {} : { hint: problem.hint }),
      ...(frame === undefined ? {} : { frame }),
    });
  };

  const nearestOffset = (path: ConfigPath): number => {
    for (let length = path.length; length > 0; length -= 1) {
      const entry = entries.get(pathKey(path.slice(0, length)));
      if (entry) return entry.keyAt ?? entry.valueAt[0];
    }
    return 0;
  };

  const valueOffset = (path: ConfigPath): number => {
    const entry = entries.get(pathKey(path));
    const isEmpty = entry === undefined || entry.valueAt[0] === entry.valueAt[1];
    return isEmpty || path.length === 0 ? nearestOffset(path) : entry.valueAt[0];
  };

  return {
    problems,
    add: (path, problem) => addAtOffset(valueOffset(path), path, problem),
    addAtKey: (path, problem) => addAtOffset(nearestOffset(path), path, problem),
    addAtOffset,
    locate: (path) => ({ file, ...positionOf(valueOffset(path)) }),
  };
};
