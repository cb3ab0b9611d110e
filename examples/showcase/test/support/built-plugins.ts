import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const PLUGINS = ['aptly', 'consul', 'fpm', 'freight', 'github', 'jenkins', 'local', 'ssh'];

/** Why a config file's plugins cannot be loaded here; undefined when all are built. A config file names packages, which are what `dist` holds. */
export const builtPlugins = (): string | undefined => {
  const missing = PLUGINS.filter(
    (name) => !existsSync(fileURLToPath(new URL(`../../../../plugins/${name}/dist/index.js`, import.meta.url))),
  );
  return missing.length === 0 ? undefined : `not built: ${missing.join(', ')} (npm run build)`;
};
