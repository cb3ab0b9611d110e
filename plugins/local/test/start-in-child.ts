// Starts one batch in a process of its own and then waits to be killed: argv is the folder, with the request beside the hosts.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RolloutRequest } from '@pipit/core';
import { createLocalDeployer } from '../src/local-deployer.js';
import { callFor, silent, trusted } from './hosts-support.js';

const [folder = ''] = process.argv.slice(2);
// The test that starts this wrote the file.
const request = JSON.parse(await readFile(join(folder, 'request.json'), 'utf8')) as RolloutRequest<Record<string, never>>;
await createLocalDeployer<Record<string, never>>({ folder, sandbox: trusted, logger: silent }).start(request, callFor('k'));
setInterval(() => undefined, 60_000);
