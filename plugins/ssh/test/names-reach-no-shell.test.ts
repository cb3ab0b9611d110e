import { parseAppName, parseHostAddress, parsePackageName, parsePackageVersion, parseUnitName } from '@pipit/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { config } from '../src/config.js';

/** Everything that a rollout puts into commands, paths and configuration on a host, with what makes it. */
const PARSERS: readonly (readonly [what: string, parse: (text: string) => string])[] = [
  ['app', parseAppName],
  ['package', parsePackageName],
  ['version', parsePackageVersion],
  ['service', parseUnitName],
  ['address', parseHostAddress],
  ['user', (text) => config.parse({ user: text }).user ?? ''],
  ['jump host', (text) => config.parse({ jump: [text] }).jump?.[0] ?? ''],
];

const parsed = (parse: (text: string) => string, text: string): string | undefined => {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
};

/** Texts near to what passes, and what somebody would try. */
const attempt = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.stringMatching(/^-?[a-z0-9.@:;$`'" \n\t/|&<>()-]{0,20}$/),
  fc.constantFrom('-oProxyCommand=id', '--root=/', 'web;id', 'web\nid', '$(id)', '`id`', '../../etc', 'web web', '-', '', 'a\0b', "a'b"),
);

it.each(PARSERS)('%s: what begins with "-", or holds spaces, quotes or control characters, is refused', (_what, parse) => {
  fc.assert(
    fc.property(attempt, (text) => {
      const accepted = parsed(parse, text);
      if (accepted === undefined) return;
      expect(accepted).toBe(text);
      expect(accepted).not.toMatch(/^-|[\s\p{Cc}'"`$;&|<>()\\/]/u);
    }),
    { numRuns: 2_000 },
  );
  // The property is empty if nothing passes.
  expect(parsed(parse, '1a') ?? parsed(parse, 'web1')).toBeDefined();
});
