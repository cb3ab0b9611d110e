// Packs every package as it would be published, and looks at the result as its users' tools will.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const publicPackages = (root) =>
  ['packages', 'plugins'].flatMap((group) =>
    readdirSync(join(root, group))
      .map((name) => join(root, group, name))
      .filter((folder) => existsSync(join(folder, 'package.json')))
      .filter((folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).private !== true),
  );

const run = (argv, cwd) => spawnSync(argv[0], argv.slice(1), { cwd, encoding: 'utf8' });

const pack = (folder, root, temporary) => {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const target = join(temporary, folder.split('/').slice(-2).join('-'));
  mkdirSync(target, { recursive: true });
  const { status, stderr, stdout } = run(['npx', '--yes', packageManager, 'pack', '--pack-destination', target], folder);
  if (status !== 0) throw new Error(`pack failed: ${stderr}${stdout}`);
  return join(
    target,
    readdirSync(target).find((name) => name.endsWith('.tgz')),
  );
};

export const checkPackages = ({ root, temporary, record }) => {
  console.log('\n== packages (publint, attw)');
  const bin = (name) => join(root, 'node_modules', '.bin', name);
  for (const folder of publicPackages(root)) {
    const name = folder.replace(`${root}`, '');
    const archive = pack(folder, root, temporary);
    const tools = {
      publint: [bin('publint'), 'run', archive, '--strict'],
      attw: [bin('attw'), archive, '--profile', 'esm-only', '--no-emoji', '--format', 'ascii'],
    };
    for (const [tool, argv] of Object.entries(tools)) {
      const { status, stdout, stderr } = run(argv, root);
      record(`${tool} ${name}`, status === 0 ? 'passed' : 'failed', status === 0 ? '' : `exit ${status}`);
      console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${tool} ${name}`);
      if (status !== 0) console.log(`${stdout}${stderr}`);
    }
  }
};
