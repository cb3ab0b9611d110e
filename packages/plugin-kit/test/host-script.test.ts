import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAppName, parseDigest, parsePackageName, parsePackageVersion, parseUnitName } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import {
  brokenHostOutcome,
  HOST_SCRIPT,
  type HostInstall,
  hostScriptEnvironment,
  hostScriptPaths,
  parseHostOutcome,
  parseHostReceipt,
} from '../src/index.js';

const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const key = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n';
const install: HostInstall = {
  app: parseAppName('web'),
  key: 'op:canary:1',
  sequence: 7,
  artifact: { format: 'deb', name: parsePackageName('web'), version: parsePackageVersion('1.0-1'), architecture: 'all', digest },
  source: { format: 'deb', uris: ['https://apt.example.org/web'], suite: 'web-app-canary', components: ['main'], keys: [key] },
};

describe('hostScriptEnvironment', () => {
  it('says all that the script reads', () => {
    const environment = hostScriptEnvironment({ ...install, restart: [parseUnitName('web')], size: 10 });
    const read = new Set([...HOST_SCRIPT.matchAll(/\$(PIPIT_[A-Z_]+)/g)].map((match) => match[1]));
    expect(Object.keys(environment).sort()).toEqual([...read].sort());
    expect(environment).toMatchObject({
      PIPIT_ROOT: '',
      PIPIT_SEQUENCE: '7',
      PIPIT_DIGEST: digest,
      PIPIT_SIZE: '10',
      PIPIT_RESTART: 'systemd',
      PIPIT_SERVICES: 'web',
      PIPIT_SOURCE: 'deb [signed-by=/etc/apt/keyrings/pipit-web-1.asc] https://apt.example.org/web web-app-canary main',
    });
  });

  it('names a keyring for each key, also of one text with two', () => {
    const { PIPIT_SOURCE } = hostScriptEnvironment({
      ...install,
      root: '/data/my hosts/web1',
      source: { ...install.source, keys: [key + key, key] },
    });
    const ring = (number: number): string => `/data/my%20hosts/web1/etc/apt/keyrings/pipit-web-${number}.asc`;
    expect(PIPIT_SOURCE).toBe(`deb [signed-by=${ring(1)},${ring(2)},${ring(3)}] https://apt.example.org/web web-app-canary main`);
  });

  it('refuses a source without a key', () => {
    expect(() => hostScriptEnvironment({ ...install, source: { ...install.source, keys: ['no key'] } })).toThrow(
      expect.objectContaining({ code: 'HOST_SOURCE_UNSIGNED' }),
    );
  });

  it.each(['/data/"x"', '/data/a\\b', '/data/a\nb'])('refuses the root %j, which apt could not read', (root) => {
    expect(() => hostScriptEnvironment({ ...install, root })).toThrow(expect.objectContaining({ code: 'HOST_SCRIPT_VALUE_INVALID' }));
  });

  it('refuses a source that would add a line', () => {
    const source = { ...install.source, uris: ['https://apt.example.org\ndeb [trusted=yes] http://evil'] };
    expect(() => hostScriptEnvironment({ ...install, source })).toThrow(expect.objectContaining({ code: 'HOST_SCRIPT_VALUE_INVALID' }));
  });

  it('writes a key that would have to be quoted as its hash', () => {
    expect(hostScriptEnvironment({ ...install, key: 'a "b"' }).PIPIT_KEY).toMatch(/^sha256-[0-9a-f]{32}$/);
    expect(hostScriptPaths({ ...install, key: 'a "b"' }).outcome).not.toBe(hostScriptPaths(install).outcome);
  });
});

describe('the outcome', () => {
  it('is read as it was written', () => {
    const text = JSON.stringify({ key: 'k', state: 'installed', code: '', message: '', version: '1.0-1', digest, sequence: 7 });
    expect(parseHostOutcome(text)).toEqual({ state: 'installed', installed: { version: '1.0-1', digest, sequence: 7 } });
  });

  it.each([
    '',
    '{',
    'null',
    '{"state":"installed"}',
    '{"state":"installed","version":"1","digest":"md5","sequence":1}',
    '{"state":"failed","code":"OTHER"}',
  ])('is never a success when it cannot be read: %j', (text) => {
    expect(parseHostOutcome(text)).toMatchObject({ state: 'failed', error: { code: 'HOST_SCRIPT_BROKEN' } });
  });

  it('has a hint for every code that the script says', () => {
    const said = new Set([...HOST_SCRIPT.matchAll(/conclude (?:failed|refused) (HOST_[A-Z_]+)/g)].map((match) => match[1] ?? ''));
    expect(said.size).toBeGreaterThan(8);
    for (const code of said)
      expect(parseHostOutcome(JSON.stringify({ state: 'failed', code, message: 'm' }))).toMatchObject({ error: { code, message: 'm' } });
    expect(brokenHostOutcome('it was killed').message).toContain('it was killed');
  });

  it('gives a receipt only when it is whole', () => {
    expect(parseHostReceipt(`{"version":"1.0-1","digest":"${digest}","sequence":7}`)).toEqual({ version: '1.0-1', digest, sequence: 7 });
    expect(parseHostReceipt('{"version":"1.0-1"}')).toBeUndefined();
  });
});

it('is plain POSIX shell', async () => {
  await expect(promisify(execFile)('dash', ['-n', '-c', HOST_SCRIPT])).resolves.toBeDefined();
  expect(HOST_SCRIPT).not.toMatch(/\[\[|\blocal \b|\bfunction |<<<|\beval\b/);
});

it('is in a package whose error codes are documented', async () => {
  const docs = await readFile(join(import.meta.dirname, '../../../docs/reference/errors/plugin-local-hosts.md'), 'utf8');
  const folder = join(import.meta.dirname, '../src/host-script');
  for (const name of await readdir(folder)) {
    const source = await readFile(join(folder, name), 'utf8');
    for (const [, code] of source.matchAll(/code: '([A-Z_]+)'/g)) expect(docs).toContain(`### ${code}\n`);
  }
});
