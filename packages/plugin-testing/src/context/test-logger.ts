import type { Logger } from '@pipit/core';

export interface LogRecord {
  readonly level: keyof Logger;
  readonly fields: object;
  readonly message: string;
}

export interface TestLogger extends Logger {
  /** What was logged, oldest first. */
  readonly records: readonly LogRecord[];
  /** The messages of one level, or of all. */
  messages(level?: keyof Logger): readonly string[];
}

/** A logger that keeps what it is told. */
export const createTestLogger = (): TestLogger => {
  const records: LogRecord[] = [];
  const keep =
    (level: keyof Logger) =>
    (fields: object, message: string): void => {
      records.push({ level, fields, message });
    };
  return {
    records,
    messages: (level) => records.filter((record) => level === undefined || record.level === level).map((record) => record.message),
    debug: keep('debug'),
    info: keep('info'),
    warn: keep('warn'),
    error: keep('error'),
  };
};
