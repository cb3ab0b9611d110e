/** Texts that broke something somewhere once. */
const ODD = [
  '',
  ' ',
  '.',
  '..',
  '../..',
  '/',
  '\\',
  '%',
  '%00',
  '\0',
  'a\0b',
  '\n',
  '\r\nX: y',
  '\x1b[31m',
  '\x7f',
  '\u0085',
  '\ud800',
  '\udfff\ud800',
  '\ufeff',
  '\ufffe',
  '\u202e',
  'ä',
  '日本',
  '🚀',
  'e\u0301',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'undefined',
  'NaN',
  'true',
  '[]',
  '{}',
  '0',
  '-0',
  '-1',
  '1',
  '1.5',
  '1e3',
  '1e999',
  '2147483647',
  '2147483648',
  '-2147483649',
  '9007199254740993',
  '9223372036854775808',
  '99999999999999999999',
  '0x10',
  '٣',
  'Infinity',
  '2026-01-01T00:00:00Z',
  '2026-13-45T99:99:99Z',
  '0000-00-00',
  '+275760-09-13T00:00:00.001Z',
  'infinity',
  'now',
  'epoch',
  'evil-1',
  "' or 1=1 --",
  '"; drop table runs; --',
  '$1',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: meant as it stands
  '${7*7}',
  '{{7*7}}',
  '<script>alert(1)</script>',
  'javascript:alert(1)',
  'file:///etc/passwd',
  'http://127.0.0.1:1/',
  'http://[::bad/',
  'ssh://-oProxyCommand=x/y',
  'ext::sh -c id',
  '--upload-pack=id',
  '-x',
  '--help',
  'refs/heads/main',
  'refs/heads/..',
  'refs/heads/a..b',
  'HEAD',
  '@{-1}',
  'main^{/x}',
  'a'.repeat(64),
  'f'.repeat(40),
  '0'.repeat(40),
  'x'.repeat(300),
  'x'.repeat(301),
  'x'.repeat(3000),
  '(a+)+$',
  '*'.repeat(200),
  '../'.repeat(50),
  'web-1',
  'web-1:build:1',
  'shop',
  'local',
  'canary',
  'production',
  'app',
  'admin',
  'event-1',
  '019ac0de-0000-7000-8000-000000000000',
  '00000000-0000-0000-0000-000000000000',
];

/** Percent-encodings that no `encodeURIComponent` makes. */
const RAW_PARTS = [
  '%',
  '%0',
  '%zz',
  '%00',
  '%C0%AF',
  '%E0%A4%A',
  '%FF',
  '%ED%A0%80',
  '%2e%2e%2f',
  '%252e',
  '..%2f',
  ';a=b',
  '//',
  '%0d%0aX:%20y',
  '%u0041',
  '+',
  '%20',
];

export const oddText = (random) => {
  if (random.chance(0.15)) return random.bytes(random.below(24)).toString('latin1');
  if (random.chance(0.1)) return Array.from({ length: 1 + random.below(12) }, () => String.fromCharCode(random.below(65_536))).join('');
  return random.pick(ODD);
};

/** A text as it may stand in a path or query, rightly encoded or not. */
export const oddPart = (random) => {
  if (random.chance(0.2)) return random.pick(RAW_PARTS);
  const text = oddText(random);
  try {
    return encodeURIComponent(text);
  } catch {
    return '%ED%A0%80'; // half a character has no encoding
  }
};

export const oddJson = (random, depth = 0) => {
  if (depth > 4 || random.chance(0.5)) return random.pick([oddText(random), random.below(1e9), -1.5, 1e308, true, null, oddText(random)]);
  if (random.chance(0.5)) return Array.from({ length: random.below(6) }, () => oddJson(random, depth + 1));
  return Object.fromEntries(Array.from({ length: random.below(6) }, () => [oddText(random), oddJson(random, depth + 1)]));
};
