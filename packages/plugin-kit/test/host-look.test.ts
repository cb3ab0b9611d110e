import { execFile } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createSecret, parseAppName, parseDigest, parseHostAddress, parsePackageName, parsePackageVersion } from '@pipit/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  HOST_LAUNCH,
  HOST_LOOK,
  HOST_SCRIPT,
  type HostInstall,
  healthCheckEnvironment,
  hostScriptEnvironment,
  parseHostLaunch,
  parseHostLook,
  renderHostTry,
} from '../src/index.js';
import { temporaryFolder } from './temporary-folder.js';

const execute = promisify(execFile);
const names = [parsePackageName('web')];
const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
const receipt = `{"version":"1.0","digest":"${digest}","sequence":7}`;
const key = '-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n';
const install: HostInstall = {
  app: parseAppName('web'),
  key: 'op:canary:1',
  sequence: 7,
  artifact: { format: 'deb', name: parsePackageName('web'), version: parsePackageVersion('1.0-1'), architecture: 'all', digest },
  source: { format: 'deb', uris: ['https://apt.example.org/web'], suite: 'web-app-canary', components: ['main'], keys: [key] },
};

it('reads what a host says of itself', () => {
  const text = [
    'look 1',
    'try ended 2',
    `outcome {"state":"installed","version":"1.0","digest":"${digest}","sequence":7,"healthy":false,"health":"no answer"}`,
    'package web hold installed 1.0',
    'broken other (half-configured)',
    `receipt web ${receipt}`,
    'busy dpkg',
    'healthy no it said: 503',
    'log',
    'try none 0\nanything',
  ].join('\n');
  expect(parseHostLook(text, names)).toEqual({
    attempt: {
      state: 'ended',
      tries: 2,
      outcome: { state: 'installed', installed: { version: '1.0', digest, sequence: 7 }, health: { healthy: false, why: 'no answer' } },
    },
    packages: [{ name: 'web', isHeld: true, status: 'installed', installed: { version: '1.0', digest, sequence: 7 } }],
    broken: ['other (half-configured)'],
    busy: ['dpkg'],
    health: { healthy: false, why: 'it said: 503' },
    log: 'try none 0\nanything',
  });
});

it("gives a receipt only where it speaks of the version that stands there, and what is not pipit's as that", () => {
  expect(parseHostLook(`look 1\npackage web install installed 2.0\nreceipt web ${receipt}\nlog\n`, names).packages[0]?.installed).toEqual({
    version: '2.0',
  });
  const foreign = parseHostLook('look 1\nforeign web 1:2.3-1\nlog\n', names);
  expect(foreign).toMatchObject({ packages: [], foreign: { name: 'web', version: '1:2.3-1' } });
});

it.each([
  '',
  'look 1\n',
  'look 2\nlog\n',
  'Welcome to web1\nlook 1\nlog\n',
  'look 1\nsurprise\nlog\n',
  'look 1\npackage other install installed 1.0\nlog\n',
  'look 1\npackage web install installed -x\nlog\n',
  'look 1\ntry maybe 1\nlog\n',
  'look 1\noutcome {}\nlog\n',
  'look 1\nhealthy maybe\nlog\n',
])('never guesses: %j', (text) => {
  expect(() => parseHostLook(text, names)).toThrow();
});

it('knows what a launch says, and nothing else', () => {
  expect(parseHostLaunch('launch started 3\n')).toEqual({ state: 'started', tries: 3 });
  expect(parseHostLaunch('launch full\n')).toEqual({ state: 'full' });
  expect(parseHostLaunch('launch refused no bus\n')).toEqual({ state: 'refused', said: 'no bus' });
  for (const text of ['', 'launch started\n', 'x\nlaunch started 1\n', 'launch started 1\nx'])
    expect(() => parseHostLaunch(text)).toThrow(expect.objectContaining({ code: 'HOST_LOOK_BROKEN' }));
});

it.each([
  ['launch', HOST_LAUNCH],
  ['look', HOST_LOOK],
])('is plain POSIX shell: %s', async (_name, text) => {
  await expect(execute('dash', ['-n', '-c', text])).resolves.toBeDefined();
  expect(text).not.toMatch(/\[\[|\blocal \b|\bfunction |<<<|\beval\b/);
});

describe('a try as it is kept on a host', () => {
  it('gives a real shell exactly the values that it holds, whatever they are', async () => {
    // Values of any text: what the parsers let through is a small part of it.
    const value = fc.string({ unit: 'binary', maxLength: 80 }).map((text) => text.replaceAll('\0', ''));
    await fc.assert(
      fc.asyncProperty(value, value, async (one, two) => {
        const text = renderHostTry({ PIPIT_A: one, PIPIT_B: two }).replace(HOST_SCRIPT, () => `printf '%s\\0%s' "$PIPIT_A" "$PIPIT_B"`);
        const { stdout } = await execute('sh', ['-c', text, '/nonexistent']);
        expect(stdout).toBe(`${one}\0${two}`);
      }),
      { numRuns: 40 },
    );
  });

  it('does nothing at all when a cut connection left only a part of it, and removes itself when it is whole', async () => {
    const folder = await temporaryFolder();
    const file = join(folder, 'try.sh');
    const whole = renderHostTry({ PIPIT_A: 'a b' }).replace(HOST_SCRIPT, () => `echo "done $PIPIT_A"\n`);
    for (let length = 1; length < whole.length - 1; length += 1) {
      await writeFile(file, whole.slice(0, length));
      const said = await execute('sh', [file]).catch((thrown: unknown) => thrown);
      expect(said).toMatchObject({ stdout: '' });
      expect(await readdir(folder)).toEqual(['try.sh']);
    }
    await writeFile(file, whole);
    expect((await execute('sh', [file])).stdout).toBe('done a b\n');
    expect(await readdir(folder)).toEqual([]);
  });

  it('tells of a health check, and refuses a path that would end the request', () => {
    const address = parseHostAddress('10.0.0.1');
    expect(healthCheckEnvironment({ address, check: { type: 'command', argv: ['a b', "it's"], withinMs: 1_500 } })).toMatchObject({
      PIPIT_CHECK: 'command',
      PIPIT_CHECK_COMMAND: "'a b' 'it'\\''s'",
      PIPIT_CHECK_WITHIN_SECONDS: '2',
    });
    for (const path of ['/a b', '/a\r\nX: y', 'a', '/ü'])
      expect(() => healthCheckEnvironment({ address, check: { type: 'http', port: 80, path, withinMs: 1 } })).toThrow(
        expect.objectContaining({ code: 'HOST_SCRIPT_VALUE_INVALID' }),
      );
  });

  it('tells where rpms come from, disabled for all but the script, and with what credential', () => {
    const source = {
      format: 'rpm',
      baseUrl: 'https://rpm.example.org/web',
      keys: [key],
      credentials: { username: 'ada', password: createSecret('pw') },
    } as const;
    const { PIPIT_SOURCE, PIPIT_AUTH, PIPIT_FORMAT } = hostScriptEnvironment({ ...install, source });
    expect(PIPIT_FORMAT).toBe('rpm');
    expect(PIPIT_SOURCE?.split('\n')).toEqual([
      '[pipit-web]',
      'name=web, delivered by pipit',
      'baseurl=https://rpm.example.org/web',
      'enabled=0',
      'repo_gpgcheck=1',
      'gpgcheck=0',
      'skip_if_unavailable=0',
      'gpgkey=file:///etc/pki/rpm-gpg/pipit-web-1.asc',
      'username=ada',
      'password=pw',
    ]);
    expect(PIPIT_AUTH).toBe('user = ada:pw');
  });

  it('gives apt the credential of a source', () => {
    const source = {
      ...install.source,
      format: 'deb' as const,
      uris: ['https://apt.example.org/web'],
      suite: 's',
      components: ['main'],
      credentials: { username: 'ada', password: createSecret('pw') },
    };
    expect(hostScriptEnvironment({ ...install, source }).PIPIT_AUTH).toBe('machine https://apt.example.org/web login ada password pw');
  });
});
