import type { LogPiece, StepLogs } from '../ports/records.js';

const DEFAULT_TAIL_BYTES = 64 * 1024;

/** Step logs in memory, for tests and for `pipit plan`. */
export const createMemoryStepLogs = (): StepLogs => {
  const logs = new Map<string, (LogPiece & { readonly step: string })[]>();
  return {
    append: async ({ operationId, step }, text, at) => {
      const pieces = logs.get(operationId) ?? [];
      logs.set(operationId, [...pieces, { step, sequence: pieces.length + 1, at, text }]);
    },
    read: async ({ operationId, step }, options = {}) => {
      const all = (logs.get(operationId) ?? []).filter((piece) => step === undefined || piece.step === step);
      if (options.after !== undefined) return { pieces: all.filter((piece) => piece.sequence > (options.after ?? 0)), truncated: false };
      let bytes = 0;
      const tail = [...all].reverse().filter((piece) => {
        bytes += Buffer.byteLength(piece.text);
        return bytes <= (options.maxBytes ?? DEFAULT_TAIL_BYTES);
      });
      return { pieces: tail.reverse(), truncated: tail.length < all.length };
    },
  };
};
