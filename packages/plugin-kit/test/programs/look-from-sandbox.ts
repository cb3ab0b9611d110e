import { isPluginError } from '@pipit/core';
import { createSandbox, runCommand, type SandboxOptions } from '../../src/index.js';

// Makes a sandbox as the user that runs this, runs a script in it, and prints what came out. The argument is what the test wrote.
const { options, folder, script, env, mounts } = JSON.parse(process.argv[2] ?? '') as {
  readonly options: SandboxOptions;
  readonly folder: string;
  readonly script: string;
  readonly env: Record<string, string>;
  readonly mounts?: readonly { readonly from: string; readonly to: string; readonly writable?: boolean }[];
};
try {
  const sandbox = await createSandbox(options);
  await sandbox.giveFolder(folder);
  const command = sandbox.confine(['sh', '-c', script], { folder, env, ...(mounts === undefined ? {} : { mounts }) });
  const result = await runCommand(command.argv, { cwd: folder, env: command.env, timeoutMs: 20_000 });
  process.stdout.write(JSON.stringify({ mode: sandbox.mode, ...result }));
} catch (thrown) {
  if (!isPluginError(thrown)) throw thrown;
  process.stdout.write(JSON.stringify({ error: { code: thrown.code, message: thrown.message, hint: thrown.hint } }));
}
