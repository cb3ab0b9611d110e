import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

export interface DebRequest {
  readonly name?: string;
  readonly version: string;
  readonly postInstall?: string;
  readonly depends?: string;
  /** Absolute path in the package -> text; executable when it begins with `#!`. */
  readonly files?: Readonly<Record<string, string>>;
  /** Bytes of a file that fills the package, and whether they can be packed to little. */
  readonly paddingBytes?: number;
  readonly padding?: 'noise' | 'zeros';
}

export interface BuiltDeb {
  readonly name: string;
  readonly version: string;
  /** `sha256:` and 64 hexadecimal characters. */
  readonly digest: string;
  readonly bytes: number;
  readonly path: string;
}

/** Where a suite of the shelf is, as a host's apt needs to know it. */
export interface ShelfSource {
  readonly format: 'deb';
  readonly uris: readonly string[];
  readonly suite: string;
  readonly components: readonly string[];
  /** Armoured public keys. */
  readonly keys: readonly string[];
}

/** A signed APT repository over HTTP, with a suite for each name that debs are put under. Needs `apt-utils` and `gpg`. */
export interface AptShelf {
  build(request: DebRequest): Promise<BuiltDeb>;
  /** Makes a suite anew of these debs. */
  put(suite: string, debs: readonly BuiltDeb[]): Promise<ShelfSource>;
  readonly folder: string;
  /** Breaks a suite's signature: its index is changed and not signed again. */
  breakSignature(suite: string): Promise<void>;
  /** What is asked for meanwhile waits until the function that it gives is called. */
  hold(): () => void;
  close(): Promise<void>;
}

/** @param address Where it is served, on a free port. */
export const openAptShelf = async (address: string): Promise<AptShelf> => {
  const folder = await mkdtemp(join(tmpdir(), 'pipit-shelf-'));
  const home = join(folder, 'gnupg');
  await mkdir(home, { mode: 0o700 });
  const gpg = (argv: readonly string[]) => execute('gpg', ['--homedir', home, '--batch', '--yes', ...argv], { maxBuffer: 1e7 });
  await gpg(['--passphrase', '', '--quick-generate-key', 'pipit test <test@example.org>', 'ed25519', 'sign', 'never']);
  const key = (await gpg(['--armor', '--export'])).stdout;
  const web = join(folder, 'web');
  await mkdir(web);
  let held: Promise<void> | undefined;
  const server = createServer(async (request, response) => {
    await held;
    const path = join(web, normalize(decodeURIComponent(request.url ?? '/')));
    createReadStream(path)
      .once('error', () => response.writeHead(404).end())
      .pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo; // a TCP server's address is one
  let number = 0;

  return {
    folder: web,
    build: async (request) => {
      const { name = 'web', version } = request;
      number += 1;
      const root = join(folder, `build-${number}`);
      await mkdir(join(root, 'DEBIAN'), { recursive: true });
      const fields = [
        `Package: ${name}`,
        `Version: ${version}`,
        'Architecture: all',
        'Maintainer: pipit <pipit@example.org>',
        'Description: test',
      ];
      if (request.depends !== undefined) fields.push(`Depends: ${request.depends}`);
      await writeFile(join(root, 'DEBIAN/control'), `${fields.join('\n')}\n`);
      if (request.postInstall !== undefined) await writeFile(join(root, 'DEBIAN/postinst'), request.postInstall, { mode: 0o755 });
      const files = request.files ?? { [`/opt/${name}/version`]: `${version}\n` };
      for (const [path, text] of Object.entries(files)) {
        await mkdir(join(root, path, '..'), { recursive: true });
        await writeFile(join(root, path), text, { mode: text.startsWith('#!') ? 0o755 : 0o644 });
      }
      if (request.paddingBytes !== undefined) {
        await mkdir(join(root, 'opt', name), { recursive: true });
        await execute('dd', [
          `if=/dev/${request.padding === 'zeros' ? 'zero' : 'urandom'}`,
          `of=${join(root, 'opt', name, 'padding')}`,
          'bs=1M',
          `count=${Math.ceil(request.paddingBytes / 1024 / 1024)}`,
        ]);
      }
      const path = join(folder, `${number}.deb`);
      await execute('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z1', '--build', root, path]);
      const bytes = await readFile(path);
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      return { name, version, digest, bytes: bytes.length, path };
    },
    put: async (suite, debs) => {
      const pool = join(web, 'pool', suite);
      const dists = join(web, 'dists', suite);
      await rm(pool, { recursive: true, force: true });
      await mkdir(pool, { recursive: true });
      await mkdir(join(dists, 'main/binary-amd64'), { recursive: true });
      for (const { name, version, path } of debs) await copyFile(path, join(pool, `${name}_${version}_all.deb`));
      const { stdout: packages } = await execute('apt-ftparchive', ['packages', `pool/${suite}`], { cwd: web, maxBuffer: 1e7 });
      await writeFile(join(dists, 'main/binary-amd64/Packages'), packages);
      const options = [`Suite=${suite}`, `Codename=${suite}`, 'Components=main', 'Architectures=amd64'].flatMap((option) => [
        '-o',
        `APT::FTPArchive::Release::${option}`,
      ]);
      await rm(join(dists, 'InRelease'), { force: true });
      await rm(join(dists, 'Release'), { force: true });
      const { stdout: release } = await execute('apt-ftparchive', [...options, 'release', dists], { maxBuffer: 1e7 });
      await writeFile(join(dists, 'Release'), release);
      await gpg(['--clearsign', '--output', join(dists, 'InRelease'), join(dists, 'Release')]);
      await rm(join(dists, 'Release'));
      return { format: 'deb', uris: [`http://${address}:${port}`], suite, components: ['main'], keys: [key] };
    },
    breakSignature: async (suite) => {
      const path = join(web, 'dists', suite, 'InRelease');
      await writeFile(path, (await readFile(path, 'utf8')).replace('Components: main', 'Components: main evil'));
    },
    hold: () => {
      let release = (): void => undefined;
      held = new Promise((resolve) => {
        release = resolve;
      });
      return () => {
        held = undefined;
        release();
      };
    },
    close: async () => {
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
      await execute('gpgconf', ['--homedir', home, '--kill', 'all']).catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    },
  };
};
