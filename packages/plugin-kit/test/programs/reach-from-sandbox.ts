import type { ConfineOptions } from '@pipit/core';
import { createSandbox, runCommand, type SandboxOptions } from '../../src/index.js';

// Makes a sandbox as the user and in the network namespace that run this, and tries from it to reach each target, in each kind of network.
const { options, folder, targets, networks, script } = JSON.parse(process.argv[2] ?? '') as {
  readonly options: SandboxOptions;
  readonly folder: string;
  /** `host/port`, as bash has them. */
  readonly targets: readonly string[];
  readonly networks: readonly NonNullable<ConfineOptions['network']>[];
  readonly script?: string;
};
const sandbox = await createSandbox(options);
await sandbox.giveFolder(folder);
const run = async (argv: readonly string[], network: ConfineOptions['network']) => {
  const command = sandbox.confine(argv, { folder, ...(network === undefined ? {} : { network }) });
  return runCommand(command.argv, { cwd: folder, env: command.env, timeoutMs: 60_000 });
};
const reached: Record<string, readonly string[]> = {};
for (const network of networks) {
  const tries = targets.map(
    (target) => `(timeout 3 bash -c 'exec 3<>/dev/tcp/${target} && read -r word <&3 && [ "$word" = hello ]' && echo '${target}') &`,
  );
  const { stdout } = await run(['bash', '-c', `${tries.join('\n')}\nwait`], network);
  reached[network] = stdout
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}
const said = script === undefined ? undefined : await run(['bash', '-c', script], 'outbound');
process.stdout.write(JSON.stringify({ gaps: sandbox.gaps.filter(({ name }) => name === 'network'), reached, said }));
