import { randomBytes } from 'node:crypto';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Says that a folder is this example's, so that it may be made anew. */
const MARKER = '.pipit-main-job';

export const HOSTS = [
  { id: 'web1', address: '127.77.0.11', tag: 'shop::app_canary' },
  { id: 'web2', address: '127.77.0.12', tag: 'shop::app_canary' },
  { id: 'web3', address: '127.77.0.13', tag: 'shop::app' },
  { id: 'web4', address: '127.77.0.14', tag: 'shop::app' },
  { id: 'web5', address: '127.77.0.15', tag: 'shop::app' },
  { id: 'web6', address: '127.77.0.16', tag: 'shop::app' },
] as const;

export interface Installation {
  readonly folder: string;
  readonly dataFolder: string;
  readonly configFile: string;
  readonly secretFile: string;
  /** The bare repository that is pushed to. */
  readonly repository: string;
  /** A developer's clone. */
  readonly clone: string;
}

/** Root's home may not be entered by the other users that pipit runs things as. */
const chooseFolder = (): string =>
  process.getuid?.() === 0
    ? '/var/lib/pipit-main-job'
    : join(process.env.XDG_DATA_HOME ?? join(homedir(), '.local', 'share'), 'pipit-main-job');

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

export const locateInstallation = (): Installation => {
  const folder = chooseFolder();
  return {
    folder,
    dataFolder: join(folder, 'data'),
    configFile: join(folder, 'pipit.config.yaml'),
    secretFile: join(folder, 'webhook-secret'),
    repository: join(folder, 'shop.git'),
    clone: join(folder, 'shop'),
  };
};

/** Removes what a former run left; refuses a folder that is not this example's. */
export const clearInstallation = async ({ folder }: Installation): Promise<void> => {
  if (!(await exists(folder))) return;
  if (!(await exists(join(folder, MARKER))))
    throw new Error(`${folder} is there and is not this example's: move it away, then start again`);
  await rm(folder, { recursive: true, force: true });
};

const configText = (
  installation: Installation,
  port: number,
): string => `# The whole pipeline on this machine. Each part is a plugin; any can be swapped here.
# See docs/reference/config.md for every key.
server: { port: ${port} }
plugins:
  local:
    uses: "@pipit/plugin-local"
    with:
      secret: { $file: ./webhook-secret }
      inventory: ${join(installation.folder, 'inventory.yaml')}
      repositories:
        shop: { path: ${installation.repository} }
pipelines:
  web:
    repositories: [shop]
    trigger: { use: local, branches: [main] }
    ci: local
    packager: local
    repository: local
    discovery: local
    deployer: local
    rings:
      - name: canary
        bake: 3s
      - name: production
`;

const inventoryText = (): string =>
  `# Six hosts on this machine, each a folder with a package database of its own and a loopback address. Two are canaries.\nhosts:\n${HOSTS.map(
    ({ id, address, tag }) => `  ${id}: { address: ${address}, tags: ["${tag}"] }`,
  ).join('\n')}\n`;

/** Writes the config, the inventory and the webhook's secret. */
export const writeInstallation = async (installation: Installation, port: number): Promise<void> => {
  await mkdir(installation.folder, { recursive: true, mode: 0o755 });
  await writeFile(join(installation.folder, MARKER), '');
  await writeFile(installation.configFile, configText(installation, port));
  await writeFile(join(installation.folder, 'inventory.yaml'), inventoryText());
  await writeFile(installation.secretFile, `${randomBytes(24).toString('hex')}\n`, { mode: 0o600 });
};
