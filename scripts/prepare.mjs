// Installs the workspace's dependencies and builds it.
import { readFileSync } from 'node:fs';
import { pnpm } from './requirements.mjs';

const { packageManager } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const root = new URL('..', import.meta.url).pathname;

export const installDependencies = () => {
  console.log('Installing dependencies ...');
  pnpm(packageManager, ['install', '--frozen-lockfile', '--reporter=append-only', '--loglevel=warn'], { cwd: root });
};

/** @param types whether type declarations are made too: only publishing and its checks need them. */
export const build = ({ types }) => {
  console.log('Building ...');
  pnpm(packageManager, ['exec', 'turbo', 'run', 'build', '--output-logs=errors-only', '--log-order=stream'], {
    cwd: root,
    env: {
      ...process.env,
      TURBO_TELEMETRY_DISABLED: '1',
      DO_NOT_TRACK: '1',
      TURBO_NO_UPDATE_NOTIFIER: '1',
      PIPIT_BUILD_TYPES: types ? 'yes' : 'no',
    },
  });
};

export { root };
