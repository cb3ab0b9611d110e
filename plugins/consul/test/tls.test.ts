/** A real agent that answers by https, with certificates made here. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createTestCall, createTestOp } from '@pipit/plugin-testing';
import { type ConsulAgent, startConsul } from 'pipit-lab';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { advertisementOf, openPlugin, ringOf, SLOW_MS, temporaryFolder } from './consul-world.js';

const openssl = async (...args: string[]) => promisify(execFile)('openssl', args);
const options = {};

let agent: ConsulAgent;
let url: string;
let tls: { ca: string; cert: string; key: string; serverName: string };
let stranger: { cert: string; key: string };

/** An authority, and a certificate of it. */
const issue = async (folder: string, name: string, authority: string) => {
  const [ca, caKey] = [join(folder, `${authority}.pem`), join(folder, `${authority}.key`)];
  await openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${authority}`, '-keyout', caKey, '-out', ca);
  const [cert, key, request, extensions] = ['pem', 'key', 'csr', 'ext'].map((end) => join(folder, `${name}.${end}`)) as [
    string,
    string,
    string,
    string,
  ]; // four ends, four paths
  await openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, '-keyout', key, '-out', request);
  await writeFile(extensions, `subjectAltName=DNS:${name}\n`);
  const signed = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '2', '-extfile', extensions];
  await openssl('x509', '-req', '-in', request, '-out', cert, ...signed);
  return { ca, cert, key };
};

beforeAll(async () => {
  const folder = await temporaryFolder('file');
  const files = await issue(folder, 'server.dc1.consul', 'authority');
  const other = await issue(folder, 'stranger', 'other-authority');
  stranger = { cert: await readFile(other.cert, 'utf8'), key: await readFile(other.key, 'utf8') };
  agent = await startConsul({ folder: join(folder, 'agent'), tls: { ...files, verifyIncoming: true } });
  url = agent.httpsUrl ?? '';
  const [ca, cert, key] = await Promise.all([files.ca, files.cert, files.key].map((path) => readFile(path, 'utf8')));
  tls = { ca: ca ?? '', cert: cert ?? '', key: key ?? '', serverName: 'server.dc1.consul' };
}, SLOW_MS);
afterAll(() => agent?.stop());

const read = (given: object) => openPlugin({ url, tls: given }).advertiser.read({ ring: ringOf('web'), options }, createTestCall());

it('reads, writes and holds over https with its own authority, certificate and server name', async () => {
  const { advertiser } = openPlugin({ url, tls });
  const { cursor } = await read(tls);
  const held = advertiser.read({ ring: ringOf('web'), after: cursor, options }, createTestCall());
  expect(await advertiser.write({ ring: ringOf('web'), next: advertisementOf(1), expected: cursor, options }, createTestOp({}))).toBe(
    'written',
  );
  expect((await held).current).toEqual(advertisementOf(1));
});

it.each<[string, () => object, RegExp]>([
  ['an authority that it does not know', () => ({ cert: tls.cert, key: tls.key, serverName: tls.serverName }), /tls\.ca/],
  ['a certificate for another name', () => ({ ...tls, serverName: undefined }), /tls\.serverName/],
  ['no certificate where the agent wants one', () => ({ ca: tls.ca, serverName: tls.serverName }), /tls\.cert/],
  ['a certificate that the agent does not trust', () => ({ ...tls, ...stranger }), /tls\.cert/],
])('refuses %s, and says what to set', async (_what, given, hint) => {
  await expect(read(given())).rejects.toMatchObject({
    code: 'CONSUL_CERTIFICATE_REFUSED',
    recovery: 'stop',
    hint: expect.stringMatching(hint),
  });
});
