import type { DLogger } from '@dbos-inc/dbos-sdk';
import type { Logger } from '@pipit/core';

const textOf = (entry: unknown): string => (entry instanceof Error ? entry.message : String(entry));

/** DBOS's own words, for whoever looks for a fault: what matters of them pipit says itself. */
export const createDbosLogger = (logger: Logger): DLogger => ({
  debug: () => undefined,
  info: (entry) => logger.debug({ dbos: textOf(entry) }, 'Engine says'),
  warn: (entry) => logger.debug({ dbos: textOf(entry) }, 'Engine warns'),
  error: (entry) => logger.warn({ dbos: textOf(entry) }, 'Engine reports an error'),
});
