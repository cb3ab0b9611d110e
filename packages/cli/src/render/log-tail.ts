import type { LogView } from '@pipit/runtime';
import { cleanBlock } from './clean-text.js';
import type { Paint } from './paint.js';

type Operation = LogView['operations'][number];

export type LogPieceView = Operation['pieces'][number] & Pick<Operation, 'operationId' | 'stage'>;

/** Reads a log again and again, and tells each piece once. */
export interface LogTail {
  /** The pieces that are new. */
  take(log: LogView): readonly LogPieceView[];
  /** The same as lines, under a heading for each step; a line that is not whole yet is kept. */
  render(log: LogView): readonly string[];
  /** What was kept. */
  end(): readonly string[];
}

export const createLogTail = (paint: Paint): LogTail => {
  const taken = new Map<string, number>();
  let heading = '';
  let rest = '';

  const take = (log: LogView): readonly LogPieceView[] =>
    log.operations.flatMap(({ operationId, stage, pieces }) =>
      pieces.flatMap((piece) => {
        const key = `${operationId}/${piece.step}`;
        if (piece.sequence <= (taken.get(key) ?? 0)) return [];
        taken.set(key, piece.sequence);
        return [{ ...piece, operationId, stage }];
      }),
    );

  const end = (): readonly string[] => {
    const lines = rest === '' ? [] : [rest];
    rest = '';
    return lines;
  };

  const cutPieces = new Set<string>();
  const headingOf = (piece: LogPieceView, log: LogView): readonly string[] => {
    const own = `${piece.operationId}/${piece.step}`;
    if (own === heading) return [];
    const before = heading === '' ? end() : [...end(), ''];
    heading = own;
    const isCut = log.operations.some((operation) => operation.operationId === piece.operationId && operation.truncated);
    const cut = isCut && !cutPieces.has(piece.operationId) ? [paint.dim('… the beginning is left out')] : [];
    cutPieces.add(piece.operationId);
    return [...before, paint.bold(`── ${piece.stage} ${piece.step}`), ...cut];
  };

  const render = (log: LogView): readonly string[] =>
    take(log).flatMap((piece) => {
      const lines = [...headingOf(piece, log)];
      const pieces = `${rest}${cleanBlock(piece.text)}`.split('\n');
      rest = pieces.pop() ?? '';
      return [...lines, ...pieces];
    });

  return { take, render, end };
};
