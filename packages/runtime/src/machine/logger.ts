import type { Logger } from '@pipit/core';
import type { Redactor } from '@pipit/plugin-kit';
import { pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** JSON lines to a stream, every registered secret redacted, errors with their code and stack. */
export const createLogger = (options: {
  readonly level: LogLevel;
  readonly redactor: Redactor;
  readonly write: (line: string) => void;
}): Logger => {
  const logger = pino(
    { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { error: pino.stdSerializers.err } },
    { write: (line: string) => options.write(options.redactor.redact(line)) },
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
};

/** The same logger with fields that stand in each of its lines. */
export const withFields = (logger: Logger, fixed: object): Logger => ({
  debug: (fields, message) => logger.debug({ ...fixed, ...fields }, message),
  info: (fields, message) => logger.info({ ...fixed, ...fields }, message),
  warn: (fields, message) => logger.warn({ ...fixed, ...fields }, message),
  error: (fields, message) => logger.error({ ...fixed, ...fields }, message),
});
