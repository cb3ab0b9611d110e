import { PluginError, type UnitName } from '@pipit/core';

/** The part of a systemd service that the local hosts understand. */
export interface ServiceUnit {
  /** ExecStart: an absolute program and its arguments. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** WorkingDirectory; absolute. */
  readonly workingDirectory?: string;
  readonly restart: 'no' | 'always' | 'on-failure';
  /** RestartSec, in milliseconds. Default 100, as systemd's. */
  readonly restartMs: number;
}

/** Where a package installs a unit, below the host's root. */
export const unitPaths = (service: UnitName): readonly string[] => {
  const file = `${service.replace(/\.service$/, '')}.service`;
  return [`lib/systemd/system/${file}`, `usr/lib/systemd/system/${file}`, `etc/systemd/system/${file}`];
};

const unsupported = (service: UnitName, what: string): PluginError =>
  new PluginError({
    code: 'HOST_SERVICE_UNSUPPORTED',
    message: `The unit of ${service} cannot be run on a local host: ${what}`,
    hint: 'Local hosts understand ExecStart (one absolute program with plain arguments), Environment, WorkingDirectory, Restart (no, always, on-failure) and RestartSec.',
    recovery: 'stop',
  });

/** Splits as systemd does: white space parts words, quotes keep them together, a backslash keeps the next character. */
const splitWords = (service: UnitName, text: string): readonly string[] => {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\') {
      at += 1;
      word = (word ?? '') + text.charAt(at);
    } else if (quote !== undefined) {
      if (character === quote) quote = undefined;
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + character;
  }
  if (quote !== undefined) throw unsupported(service, `a quote is not closed in ${JSON.stringify(text)}`);
  if (word !== undefined) words.push(word);
  return words;
};

/** `%%` is a percent sign; any other `%x` would need a running systemd. */
const withoutSpecifiers = (service: UnitName, text: string): string => {
  const specifier = /%[^%]/.exec(text.replaceAll('%%', ''));
  if (specifier !== null) throw unsupported(service, `the specifier ${specifier[0]} in ${JSON.stringify(text)}`);
  return text.replaceAll('%%', '%');
};

/** Source: systemd.time(7); a plain number is seconds. */
const UNITS_MS: Readonly<Record<string, number>> = { '': 1000, ms: 1, s: 1000, sec: 1000, m: 60_000, min: 60_000 };

const parseTime = (service: UnitName, text: string): number => {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)\s*(ms|s|sec|m|min)?$/.exec(text) ?? [];
  const factor = UNITS_MS[unit];
  if (amount === undefined || factor === undefined) throw unsupported(service, `RestartSec=${text}`);
  return Math.round(Number(amount) * factor);
};

const serviceLines = (text: string): readonly (readonly [string, string])[] => {
  const lines = text.replace(/\\\n/g, ' ').split('\n');
  let section = '';
  const found: (readonly [string, string])[] = [];
  for (const raw of lines) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const header = /^\[(.+)\]$/.exec(line);
    if (header !== null) section = header[1] ?? '';
    else if (section === 'Service' && line.includes('='))
      found.push([line.slice(0, line.indexOf('=')).trim(), line.slice(line.indexOf('=') + 1).trim()]);
  }
  return found;
};

const parseExecStart = (service: UnitName, value: string): readonly string[] => {
  const argv = splitWords(service, withoutSpecifiers(service, value));
  const [program] = argv;
  if (program === undefined || !program.startsWith('/'))
    throw unsupported(
      service,
      `ExecStart=${value} does not begin with an absolute path (prefixes such as "-", "@", "+" and "!" are not understood)`,
    );
  const expansion = argv.find((argument) => /\$\{?[A-Za-z_]/.test(argument));
  if (expansion !== undefined)
    throw unsupported(service, `${JSON.stringify(expansion)} in ExecStart refers to a variable; use /bin/sh -c in a script of yours`);
  return argv;
};

/**
 * Reads a systemd unit file. Understood: `ExecStart` (one), `Environment`, `WorkingDirectory`, `Restart` (`no`, `always`, `on-failure`),
 * `RestartSec`, `Type` (`simple`, `exec`). What would change who or what runs and is not understood is an error; anything else
 * (descriptions, hardening, ordering) is systemd's own and left to real hosts.
 *
 * @throws PluginError `HOST_SERVICE_UNSUPPORTED` (stop)
 */
export const parseServiceUnit = (service: UnitName, text: string): ServiceUnit => {
  let argv: readonly string[] | undefined;
  let workingDirectory: string | undefined;
  let restart: ServiceUnit['restart'] = 'no';
  let restartMs = 100;
  const environment: Record<string, string> = {};
  for (const [name, value] of serviceLines(text)) {
    switch (name) {
      case 'ExecStart':
        if (value === '') argv = undefined;
        else if (argv !== undefined) throw unsupported(service, 'it has more than one ExecStart');
        else argv = parseExecStart(service, value);
        break;
      case 'Environment':
        for (const pair of splitWords(service, withoutSpecifiers(service, value))) {
          if (!/^[A-Za-z_][A-Za-z0-9_]*=/.test(pair)) throw unsupported(service, `Environment=${value}`);
          environment[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1);
        }
        break;
      case 'WorkingDirectory':
        if (!value.startsWith('/')) throw unsupported(service, `WorkingDirectory=${value} is not absolute`);
        workingDirectory = withoutSpecifiers(service, value);
        break;
      case 'Restart':
        if (value !== 'no' && value !== 'always' && value !== 'on-failure') throw unsupported(service, `Restart=${value}`);
        restart = value;
        break;
      case 'RestartSec':
        restartMs = parseTime(service, value);
        break;
      case 'Type':
        if (value !== 'simple' && value !== 'exec') throw unsupported(service, `Type=${value}`);
        break;
      case 'ExecStartPre':
      case 'ExecStartPost':
      case 'EnvironmentFile':
        throw unsupported(service, `${name}=${value}`);
    }
  }
  if (argv === undefined) throw unsupported(service, 'it has no ExecStart');
  return { argv, environment, restart, restartMs, ...(workingDirectory === undefined ? {} : { workingDirectory }) };
};
