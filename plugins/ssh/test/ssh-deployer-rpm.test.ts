import { type Artifact, type HostReport, type InstallSource, parseDigest, parsePackageName, parsePackageVersion } from '@pipit/core';
import { labUnavailable } from 'pipit-lab';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { canary, FIRST_LAB_MS, type LabWorld, openLabWorld, type Request, releaseOf } from './lab-world.js';

const unavailable = await labUnavailable();
let world: LabWorld;
let source: InstallSource;
let artifacts: Readonly<Record<'1.0' | '2.0', Artifact>>;

/** Two versions of a package in a repository on the host itself, its index signed. */
const BUILD = String.raw`set -e
mkdir -p /srv/rpm /root/gnupg; chmod 700 /root/gnupg
for v in 1.0 2.0; do
  printf 'Name: web\nVersion: %s\nRelease: 1\nSummary: web\nLicense: none\nBuildArch: noarch\n%%description\nweb\n%%install\nmkdir -p %%{buildroot}/opt/web\necho %s > %%{buildroot}/opt/web/version\n%%files\n/opt/web/version\n' $v $v >/root/web.spec
  rpmbuild -bb --define '_rpmdir /srv/rpm' /root/web.spec >/dev/null 2>&1
done
createrepo_c -q /srv/rpm
gpg="gpg --homedir /root/gnupg --batch"
$gpg --passphrase '' --quick-generate-key 'pipit test <test@example.org>' rsa2048 sign never 2>/dev/null
$gpg --detach-sign --armor /srv/rpm/repodata/repomd.xml
$gpg --armor --export
`;

const CLEAN = 'rpm -e web >/dev/null 2>&1; rm -rf /var/lib/pipit /etc/yum.repos.d/pipit-* /etc/dnf/plugins/versionlock.list; exit 0';

const only = (reports: readonly HostReport[]): HostReport => {
  const [report] = reports;
  if (report === undefined || reports.length !== 1) throw new Error(`${reports.length} reports`);
  return report;
};

const exec = async (argv: readonly string[]): Promise<string> => (await world.lab.host('rpm1').exec(argv)).stdout;

const requestFor = (artifact: Artifact, sequence: number): Request => ({
  ring: canary,
  sequence,
  hosts: [{ ...world.host('rpm1'), attributes: { architecture: 'x86_64' } }],
  services: [],
  release: releaseOf(artifact),
  sources: [source],
  options: {},
});

describe('a rollout of rpms over ssh', { timeout: 180_000 }, () => {
  beforeAll(async () => {
    if (unavailable !== undefined) return;
    world = await openLabWorld([{ name: 'rpm1', layer: 'rpm' }]);
    const key = await exec(['sh', '-c', BUILD]);
    source = { format: 'rpm', baseUrl: 'file:///srv/rpm', keys: [key] };
    const artifactOf = async (version: string): Promise<Artifact> => {
      const [sum = '', size = ''] = (
        await exec([
          'sh',
          '-c',
          `cd /srv/rpm/noarch; sha256sum <web-${version}-1.noarch.rpm | cut -c1-64; stat -c %s web-${version}-1.noarch.rpm`,
        ])
      ).split('\n');
      const digest = parseDigest(`sha256:${sum}`);
      return {
        format: 'rpm',
        name: parsePackageName('web'),
        version: parsePackageVersion(`${version}-1`),
        architecture: 'noarch',
        digest,
        content: { sha256: digest, size: Number(size) },
      };
    };
    artifacts = { '1.0': await artifactOf('1.0'), '2.0': await artifactOf('2.0') };
  }, FIRST_LAB_MS);
  afterAll(() => world?.close(), 60_000);
  beforeEach(async ({ skip }) => {
    skip(unavailable !== undefined, unavailable);
    await exec(['sh', '-c', CLEAN]);
  });

  it('installs the exact version, upgrades, downgrades, and keeps receipts', async () => {
    for (const [index, version] of (['1.0', '2.0', '1.0'] as const).entries()) {
      const { digest } = artifacts[version];
      const installed = { version: `${version}-1`, digest, sequence: index + 1 };
      expect(only(await world.rollOut(requestFor(artifacts[version], index + 1), `rpm-${index}`))).toEqual({
        hostId: 'rpm1',
        reachable: true,
        installed,
      });
      expect(only(await world.observe([world.host('rpm1')])).installed).toEqual(installed);
      expect(await exec(['cat', '/opt/web/version'])).toBe(`${version}\n`);
    }
    // The source is there for pipit alone.
    expect(await exec(['dnf', '--releasever=1', '-q', 'repolist'])).not.toContain('pipit');
  });

  it('refuses other bytes under the same version, and names both digests', async () => {
    const digest = parseDigest(`sha256:${'a'.repeat(64)}`);
    const report = only(await world.rollOut(requestFor({ ...artifacts['2.0'], digest }, 1), 'rpm-bytes'));
    expect(report.error?.code).toBe('HOST_DIGEST_MISMATCH');
    for (const each of [digest, artifacts['2.0'].digest]) expect(report.error?.message).toContain(each);
    expect(report.installed).toBeUndefined();
  });

  it('says what the source does not have, and that its signature is broken', async () => {
    const missing = { ...artifacts['2.0'], version: parsePackageVersion('3.0-1') };
    expect(only(await world.rollOut(requestFor(missing, 1), 'rpm-missing')).error?.code).toBe('HOST_VERSION_NOT_OFFERED');
    await exec(['sh', '-c', 'cp /srv/rpm/repodata/repomd.xml /root/; echo "<!-- changed -->" >>/srv/rpm/repodata/repomd.xml']);
    try {
      expect(only(await world.rollOut(requestFor(artifacts['1.0'], 2), 'rpm-broken')).error?.code).toBe('HOST_UPDATE_FAILED');
    } finally {
      await exec(['cp', '/root/repomd.xml', '/srv/rpm/repodata/repomd.xml']);
    }
  });

  it('leaves a package alone that is locked to a version', async () => {
    await world.rollOut(requestFor(artifacts['1.0'], 1), 'rpm-first');
    await exec(['sh', '-c', 'mkdir -p /etc/dnf/plugins; echo "web-0:1.0-1.*" >/etc/dnf/plugins/versionlock.list']);
    expect(only(await world.rollOut(requestFor(artifacts['2.0'], 2), 'rpm-locked'))).toMatchObject({
      error: { code: 'HOST_PACKAGE_HELD' },
      installed: { version: '1.0-1' },
    });
    expect(only(await world.observe([world.host('rpm1')])).raw).toContain('on hold');
  });
});
