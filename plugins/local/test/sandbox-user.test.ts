/** Root on a machine without namespaces: code of repositories is confined only by a user of its own. */
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSandbox, DEFAULT_SANDBOX_USER } from '@pipit/plugin-kit';
import { createTestOp, createTestShell, createTestSource } from '@pipit/plugin-testing';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { openCi, requestFor, script } from './build-requests.js';
import { type DeployerWorld, hostNamed, only, openDeployer } from './deployer-world.js';
import { buildDeb, until } from './hosts-support.js';
import { HEALTH_PORT, servedWith, serviceDeb } from './service-packages.js';

const web1 = hostNamed('web1', 41);
const served = servedWith(10_000);

let world: DeployerWorld | undefined;
beforeEach(async ({ skip }) => {
  skip(process.getuid?.() !== 0, 'only root can become another user without namespaces');
  world = await openDeployer({
    sandboxOf: (folder) =>
      createSandbox({ hidden: [folder], programs: { bwrap: '/usr/bin/false' }, readable: [join(process.execPath, '..')] }),
  });
});
afterEach(async () => {
  await world?.close();
  world = undefined;
});

const open = (): DeployerWorld => world ?? expect.fail('no world');

it('builds as that user, who reads no key and writes nothing but the build', async () => {
  const { folder, sandbox } = open();
  expect(sandbox.mode).toBe('user');
  const work = join(folder, 'work');
  await mkdir(work);
  await chmod(work, 0o711);
  const look = `id -u; ls ${folder} && echo LISTS; cat ${work}/build.json ${work}/task/log && echo READS; touch ${work}/x /etc/pipit-x && echo WRITES; echo ok > "$PIPIT_OUTPUT/out"`;
  const source = await createTestSource({ files: { 'script/cisetup': script('exit 0'), 'script/cibuild': script(look) } });
  onTestFinished(() => source.remove());
  const ci = openCi(sandbox);
  const request = requestFor(source);
  const op = createTestOp({ shell: createTestShell(work), source, callbackUrl: 'http://127.0.0.1:1/' });
  const handle = await ci.start(request, op);
  const result = await until('the build has ended', async () => {
    const state = await ci.inspect({ handle, request }, op);
    return state.state === 'ended' ? state.result : undefined;
  });
  const log = (await ci.readLog?.({ handle, request }, undefined, op))?.text ?? '';
  expect(result, log).toMatchObject({ outcome: 'passed' });
  expect(log).toContain(`\n${DEFAULT_SANDBOX_USER.uid}\n`);
  expect(log).not.toMatch(/^(?:LISTS|READS|WRITES)$/m);
  expect(await readFile(join(work, 'output/out'), 'utf8')).toBe('ok\n');
});

it('installs, upgrades, repairs a failed install and goes back', async () => {
  const { rollOut, rootOf } = open();
  const seen = `#!/bin/sh\nid -u > "$DPKG_ROOT/opt/web/seen"\nls ${open().folder}/gnupg && exit 1\nexit 0\n`;
  const [one, two] = [
    await buildDeb({ version: '1.0', postInstall: seen }),
    await buildDeb({ version: '2.0', postInstall: '#!/bin/sh\nexit 9\n' }),
  ];
  const hosts = [web1];
  expect(only(await rollOut(one, { hosts }))).toMatchObject({ installed: { version: '1.0', digest: one.digest } });
  expect(await readFile(join(rootOf(web1), 'opt/web/seen'), 'utf8')).toBe(`${DEFAULT_SANDBOX_USER.uid}\n`);
  expect(only(await rollOut(two, { hosts })).error?.code).toBe('HOST_INSTALL_FAILED');
  expect(only(await rollOut(one, { hosts }))).toEqual({
    hostId: 'web1',
    reachable: true,
    installed: { version: '1.0', digest: one.digest, sequence: 3 },
  });
});

it('runs services, with a folder of their own to write to, and asks commands', async () => {
  const { rollOut, observe, folder } = open();
  const report = only(await rollOut(await serviceDeb('1.0'), { hosts: [web1], ...served }));
  expect(report, JSON.stringify(report)).toMatchObject({ healthy: true, installed: { version: '1.0' } });
  expect(await (await fetch(`http://${web1.address}:${HEALTH_PORT}/`)).text()).toBe('1.0');
  const asks = (text: string) =>
    observe([web1], { type: 'command', argv: ['/bin/sh', '-c', text], withinMs: 1 }).then((reports) => only(reports).healthy);
  expect(await asks(`test "$(id -u)" = ${DEFAULT_SANDBOX_USER.uid} && touch "$HOME/mine"`)).toBe(true);
  expect(await asks(`ls ${folder} || cat ${folder}/services/web1/web/log`)).toBe(false);
});
