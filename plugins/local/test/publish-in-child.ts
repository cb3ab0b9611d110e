// Publishes one package in a process of its own, for the test that kills it: argv is the folder, the package and its digest.
import { createReadStream } from 'node:fs';
import { parseDigest, parsePackageName, parsePackageVersion } from '@pipit/core';
import { createAptRepository } from '../src/apt-repository.js';

const [folder = '', path = '', digest = ''] = process.argv.slice(2);
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const repository = createAptRepository({ folder, logger: silent });
const sha256 = parseDigest(digest);
const unused = () => Promise.reject(new Error('unused'));
await repository.publish(
  {
    artifacts: [
      {
        format: 'deb',
        name: parsePackageName('web'),
        version: parsePackageVersion('1.0'),
        architecture: 'all',
        digest: sha256,
        content: { sha256, size: 0 },
      },
    ],
    options: {},
  },
  {
    key: 'publish',
    attempt: 1,
    signal: AbortSignal.timeout(30_000),
    deadline: new Date(Date.now() + 30_000),
    logger: silent,
    clock: { now: () => new Date() },
    random: () => 0.5,
    report: () => undefined,
    files: { get: () => createReadStream(path), put: unused },
    shell: {
      folder: '/',
      run: unused,
      write: unused,
      read: () => {
        throw new Error('unused');
      },
    },
  },
);
await repository.dispose();
