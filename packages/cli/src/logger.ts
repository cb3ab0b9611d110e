import type { Logger } from '@pipit/core';
import { cleanLine } from './render/clean-text.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Source: pino's numbers, which the runtime writes. */
const NUMBERS: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50 };
const nameOf = (number: unknown): string => Object.entries(NUMBERS).find(([, own]) => own === number)?.[0] ?? String(number);

const ownFields = (fields: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? { message: value.message, stack: value.stack } : value]),
  );

/** Lines of JSON as the runtime writes them, for what runs beside it in this process. */
export const createLogger = (options: {
  readonly level: LogLevel;
  readonly write: (line: string) => void;
  readonly now: () => Date;
}): Logger => {
  const log = (level: LogLevel) => (fields: object, message: string) => {
    if (NUMBERS[level] < NUMBERS[options.level]) return;
    options.write(`${JSON.stringify({ level: NUMBERS[level], time: options.now().toISOString(), ...ownFields(fields), msg: message })}\n`);
  };
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
};

const showValue = (value: unknown): string => cleanLine(typeof value === 'string' ? value : JSON.stringify(value));

/** A line of JSON as a person reads it: time, level, message, fields. What is no such line stays as it is. */
export const renderLogLine = (line: string): string => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return line;
  }
  if (typeof parsed !== 'object' || parsed === null || !('msg' in parsed)) return line;
  const { level, time, msg, ...fields }: { level?: unknown; time?: unknown; msg: unknown } = parsed;
  const rest = Object.entries(fields).map(([name, value]) => `  ${name}=${showValue(value)}`);
  return `${String(time).slice(11, 19)} ${nameOf(level).padEnd(5)} ${showValue(msg)}${rest.join('')}\n`;
};
