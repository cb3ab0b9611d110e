import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SshConfig } from './config.js';
import type { Connector } from './connector.js';
import { createOpensshConnector } from './openssh-connector.js';
import { createSshClient, type SshClient } from './ssh-client.js';
import { renderSshConfig } from './ssh-config-file.js';
import { ensurePrivateFolder, socketFolderOf, writePrivateFile } from './ssh-folder.js';

const createConnector = async (
  config: SshConfig,
  files: { readonly folder: string; readonly configFile: string; readonly sockets: string; readonly knownHosts: readonly string[] },
): Promise<Connector> => {
  if (config.client === 'openssh') return createOpensshConnector({ config, ...files });
  // Loaded where it is asked for: most do not, and it takes its time.
  const { createSsh2Connector } = await import('./ssh2-connector.js');
  return createSsh2Connector({ config, ...files });
};

/** Writes what ssh reads into the instance's folder. Disposing of the client removes the key and closes all connections; recorded host keys stay. */
export const openSshClient = async (config: SshConfig, folder: string): Promise<SshClient> => {
  const uid = process.getuid?.();
  const sockets = socketFolderOf(folder, tmpdir());
  await ensurePrivateFolder(sockets, uid);
  const [identity, given, configFile] = [join(folder, 'identity'), join(folder, 'known_hosts.given'), join(folder, 'ssh_config')];
  // A file that stands there keeps its mode when it is written again.
  for (const path of [identity, given, configFile]) await rm(path, { force: true });
  if (config.identity !== undefined) await writePrivateFile(identity, `${config.identity.reveal().trimEnd()}\n`);
  if (config.knownHosts !== undefined) await writePrivateFile(given, `${config.knownHosts.trimEnd()}\n`);
  const knownHosts = [
    join(folder, 'known_hosts'),
    ...(config.knownHosts === undefined ? [] : [given]),
    ...(config.knownHostsFile === undefined ? [] : [config.knownHostsFile]),
    ...(config.knownHosts === undefined && config.knownHostsFile === undefined ? ['~/.ssh/known_hosts'] : []),
  ];
  const files = { sockets, knownHosts, ...(config.identity === undefined ? {} : { identity }) };
  await writePrivateFile(configFile, renderSshConfig(config, files));
  const client = createSshClient({ config, connector: await createConnector(config, { folder, configFile, sockets, knownHosts }) });
  return {
    ...client,
    dispose: async () => {
      await client.dispose();
      // It may stand in the system's folder for temporary files.
      await rm(sockets, { recursive: true, force: true });
      await rm(identity, { force: true });
    },
  };
};
