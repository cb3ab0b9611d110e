import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type Advertisement,
  parseAppName,
  parseDigest,
  parsePackageName,
  parsePackageVersion,
  parseRingName,
  parseRoleName,
} from '@pipit/core';
import { plugin } from '@pipit/plugin-consul';
import { createTestCall, createTestOp, createTestSetup } from '@pipit/plugin-testing';
import {
  type AptShelf,
  type BuiltDeb,
  type CommandResult,
  type ConsulAgent,
  createLab,
  joinConsul,
  type LabHost,
  openAptShelf,
  startConsul,
} from 'pipit-lab';

export type Ring = 'canary' | 'production';

const PUPPET = fileURLToPath(new URL('../../puppet', import.meta.url));
const CONSUL_README = fileURLToPath(new URL('../../../../plugins/consul/README.md', import.meta.url));
/** Where Debian's puppet looks for what it applies. */
const ENVIRONMENT = '/etc/puppet/code/environments/production';

export interface PuppetWorld {
  readonly consul: ConsulAgent;
  readonly host: (ring: Ring) => LabHost;
  /** Writes the advertised version of a ring by pipit's own advertiser. */
  readonly advertise: (ring: Ring, deb: BuiltDeb) => Promise<void>;
  /** The debs that both rings' hosts can get, oldest first. */
  readonly debs: readonly BuiltDeb[];
  /** `puppet apply`; 0: nothing was to be done, 2: something was done, 1, 4 and 6: it failed. */
  readonly applyPuppet: (ring: Ring) => Promise<CommandResult>;
  /** Empty when it is not installed. */
  readonly installed: (ring: Ring) => Promise<string>;
  readonly readerToken: string;
  readonly close: () => Promise<void>;
}

const createToken = async (consul: ConsulAgent, name: string, rules: string): Promise<string> => {
  const must = async (path: string, body: unknown): Promise<unknown> => {
    const answer = await consul.request('PUT', path, body);
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  await must('/v1/acl/policy', { Name: name, Rules: rules });
  return ((await must('/v1/acl/token', { Policies: [{ Name: name }] })) as { readonly SecretID: string }).SecretID; // Consul's documented answer
};

/** Adds to the sources of a host what pipit's deployer, or whoever sets hosts up, gives it. */
const addSource = async (host: LabHost, shelf: AptShelf, debs: readonly BuiltDeb[]): Promise<void> => {
  const source = await shelf.put('stable', debs);
  await writeFile(join(host.rootFolder, 'etc/apt/keyrings/shop.asc'), source.keys.join('\n'));
  const line = `deb [signed-by=/etc/apt/keyrings/shop.asc] ${source.uris[0]} ${source.suite} ${source.components.join(' ')}\n`;
  await writeFile(join(host.rootFolder, 'etc/apt/sources.list.d/shop.list'), line);
};

/** A canary and a production host with Puppet, Consul with ACLs, and a signed repository that gives both every version. */
export const openPuppetWorld = async (): Promise<PuppetWorld> => {
  const folder = await mkdtemp('/var/tmp/pipit-puppet-');
  const ends: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const end of ends.splice(0).reverse()) await end();
  };
  try {
    const layer = ['puppet', 'consul'] as const;
    const lab = await createLab({
      folder: join(folder, 'lab'),
      hosts: [
        { name: 'canary-1', layer },
        { name: 'production-1', layer },
      ],
    });
    ends.push(lab.down);
    const consul = await startConsul({ folder: join(folder, 'consul'), address: lab.bridgeAddress, acl: true });
    ends.push(consul.stop);
    const shelf = await openAptShelf(lab.bridgeAddress);
    ends.push(shelf.close);
    const debs: BuiltDeb[] = [];
    for (const version of ['1.0', '1.1', '1.2'])
      debs.push(await shelf.build({ name: 'shop', version: `${version}-20260101000000.abcdef0` }));
    const [serverRules = '', , readerRules = ''] = [...(await readFile(CONSUL_README, 'utf8')).matchAll(/```hcl\n([\s\S]*?)```/g)].map(
      ([, rules]) => rules,
    );
    const readerToken = await createToken(consul, 'reader', readerRules);
    for (const host of lab.hosts) {
      await joinConsul({ host, server: consul });
      await addSource(host, shelf, debs);
      await cp(PUPPET, join(host.rootFolder, ENVIRONMENT), { recursive: true });
      await writeFile(join(host.rootFolder, 'etc/puppet/consul-token'), `${readerToken}\n`, { mode: 0o600 });
      await mkdir(join(host.rootFolder, 'etc/facter/facts.d'), { recursive: true });
      await writeFile(join(host.rootFolder, 'etc/facter/facts.d/pipit.yaml'), `pipit_ring: ${host.name.replace('-1', '')}\n`);
    }
    const checked = await plugin.config['~standard'].validate({
      url: consul.url,
      token: await createToken(consul, 'pipit', serverRules),
    });
    if (checked.issues !== undefined) throw new Error(JSON.stringify(checked.issues));
    const { advertiser } = await plugin.setup(checked.value, createTestSetup({ folder: join(folder, 'plugin') }));
    const host = (ring: Ring): LabHost => lab.host(`${ring}-1`);
    let sequence = 0;
    return {
      consul,
      host,
      debs,
      readerToken,
      close,
      advertise: async (name, deb) => {
        const ring = { app: parseAppName('shop'), role: parseRoleName('app'), ring: parseRingName(name) };
        sequence += 1;
        const version = parsePackageVersion(deb.version);
        const digest = parseDigest(deb.digest);
        const next: Advertisement = {
          version,
          sequence,
          artifacts: [{ format: 'deb', name: parsePackageName('shop'), version, architecture: 'all', digest }],
        };
        const { cursor } = await advertiser.read({ ring, options: {} }, createTestCall());
        const written = await advertiser.write({ ring, next, expected: cursor, options: {} }, createTestOp({}));
        if (written !== 'written') throw new Error(`${name} ${deb.version}: ${written}`);
      },
      applyPuppet: (ring) =>
        host(ring).exec(['puppet', 'apply', '--detailed-exitcodes', '--color=false', `${ENVIRONMENT}/manifests/site.pp`]),
      installed: async (ring) => (await host(ring).exec(['dpkg-query', '-W', '-f', `\${Version}`, 'shop'])).stdout.trim(),
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
};
