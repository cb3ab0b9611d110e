import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  appNameOf,
  type Commit,
  PRODUCTION_RING,
  packageVersion,
  parseAppName,
  parseCommitSha,
  parsePackageVersion,
  parseRingName,
  parseRoleName,
  REPOSITORY_FILE,
  REQUIRED_SCRIPTS,
  ringTag,
  SCRIPTS,
  unitFilePath,
} from '../src/index.js';

const repository = (name: string) => ({ id: '1', name, url: 'https://example.org/acme/web.git' });
const commitAt = (committedAt: string, sha = 'abcdef0123456789abcdef0123456789abcdef01'): Commit => ({
  repository: repository('acme/web'),
  sha: parseCommitSha(sha),
  committedAt,
});

describe('a package version', () => {
  it.each([
    ['1.4.0', '2026-03-04T05:06:07.000Z', '1.4.0-20260304050607.abcdef0'],
    ['2.0.0-rc1', '2026-03-04T05:06:07Z', '2.0.0~rc1-20260304050607.abcdef0'],
    ['1-2-3', '2026-03-04T05:06:07Z', '1~2~3-20260304050607.abcdef0'],
    ['1.0', '2026-01-01T00:30:00+02:00', '1.0-20251231223000.abcdef0'],
    ['1.0', '2026-12-31T23:30:00-05:00', '1.0-20270101043000.abcdef0'],
  ])('of %s committed at %s is %s', (base, committedAt, expected) => {
    expect(packageVersion(commitAt(committedAt), base)).toBe(expected);
  });

  it('begins with 0.0.0 where the repository names none', () => {
    expect(packageVersion(commitAt('2026-03-04T05:06:07Z'))).toBe('0.0.0-20260304050607.abcdef0');
  });

  it('tells a deliberate rebuild apart, and only that', () => {
    const commit = commitAt('2026-03-04T05:06:07Z');
    expect(packageVersion(commit, '1.0', 1)).toBe(packageVersion(commit, '1.0'));
    expect(packageVersion(commit, '1.0', 2)).toBe('1.0-20260304050607.abcdef0+r2');
  });

  it.each([
    ['1:1.0', '2026-03-04T05:06:07Z', 'VERSION_HAS_EPOCH'],
    ['v1.0', '2026-03-04T05:06:07Z', 'INVALID_VERSION'],
    ['1.0 ', '2026-03-04T05:06:07Z', 'INVALID_VERSION'],
    ['1.0', 'yesterday', 'INVALID_COMMIT_TIME'],
  ])('of %j committed at %s is refused as %s', (base, committedAt, code) => {
    expect(() => packageVersion(commitAt(committedAt), base)).toThrow(expect.objectContaining({ code, recovery: 'stop' }));
  });

  it('is the same for the same commit, whatever zone its time is told in, and always one that packages accept', () => {
    const time = fc.date({ min: new Date('2000-01-01'), max: new Date('2090-01-01'), noInvalidDate: true });
    fc.assert(
      fc.property(
        time,
        fc.integer({ min: -14, max: 14 }),
        fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 40, maxLength: 40 }),
        (at, zone, sha) => {
          const shifted = new Date(at.getTime() + zone * 3_600_000)
            .toISOString()
            .replace('Z', `${zone < 0 ? '-' : '+'}${String(Math.abs(zone)).padStart(2, '0')}:00`);
          const version = packageVersion(commitAt(at.toISOString(), sha), '1.2-rc');
          expect(packageVersion(commitAt(shifted, sha), '1.2-rc')).toBe(version);
          expect(parsePackageVersion(version)).toBe(version);
          // One "-" alone: what follows it is the Debian revision.
          expect(version.split('-').length).toBe(2);
        },
      ),
    );
  });
});

describe("an app's name", () => {
  it.each([
    ['acme/web', 'web'],
    ['acme/Web_Shop.git', 'web-shop'],
    ['group/sub/web', 'web'],
    ['web', 'web'],
  ])('of the repository %s is %s', (name, expected) => {
    expect(appNameOf(repository(name))).toBe(expected);
  });

  it.each(['', 'acme/', 'acme/.git', 'acme/x', 'acme/-web', 'acme/web shop', 'acme/../..'])('of the repository %j is refused', (name) => {
    expect(() => appNameOf(repository(name))).toThrow(expect.objectContaining({ code: 'INVALID_APP' }));
  });
});

describe("a ring's tag", () => {
  it.each([
    ['production', 'web::app'],
    ['canary', 'web::app_canary'],
    ['ring-2', 'web::app_ring-2'],
  ])('of %s is %s', (ring, expected) => {
    expect(ringTag({ app: parseAppName('web'), role: parseRoleName('app'), ring: parseRingName(ring) })).toBe(expected);
  });

  it('is told apart for every two rings of every two apps', () => {
    const name = fc.constantFrom('web', 'web-app', 'app', 'canary');
    const ref = fc
      .tuple(name, name, fc.constantFrom('canary', 'production', 'app-canary'))
      .map(([app, role, ring]) => ({ app: parseAppName(app), role: parseRoleName(role), ring: parseRingName(ring) }));
    fc.assert(
      fc.property(ref, ref, (a, b) => {
        expect(ringTag(a) === ringTag(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });

  it('knows production by a name that the parser accepts', () => {
    expect(parseRingName(PRODUCTION_RING)).toBe('production');
  });
});

it('names the scripts, the file and the units of a repository as documented', () => {
  expect([...REQUIRED_SCRIPTS]).toEqual(['script/cisetup', 'script/cibuild', 'script/post-inst']);
  expect([SCRIPTS.package, REPOSITORY_FILE, unitFilePath('web'), unitFilePath('web.service')]).toEqual([
    'script/package',
    'pipit.yaml',
    'systemd/web.service',
    'systemd/web.service',
  ]);
});
