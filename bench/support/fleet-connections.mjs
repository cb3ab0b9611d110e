import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseHostAddress } from '@pipit/core';
import { timed } from './fleet-tools.mjs';
import { callOf, openSshPlugin } from './ssh-plugin.mjs';

const FIRST_PORT = 2_201;

/**
 * Several destinations on each host, each with a connection of its own: ports on which the same sshd listens. Its limit of connections that are not
 * logged in yet (MaxStartups) is raised, for pssh tries nothing again.
 */
export const prepareConnections = async ({ lab, folder, tools, perHost, atOnce }) => {
  const ports = Array.from({ length: perHost }, (_, index) => FIRST_PORT + index);
  // sshd opens at most 16 sockets: none for IPv6.
  const settings = `AddressFamily inet\n${[22, ...ports].map((port) => `Port ${port}`).join('\n')}\nMaxStartups 1000\n`;
  await Promise.all(
    lab.hosts.map(async (host) => {
      await writeFile(join(host.rootFolder, 'etc/ssh/sshd_config.d/bench.conf'), settings);
      const { exitCode, stderr } = await host.exec(['systemctl', 'restart', 'ssh']);
      if (exitCode !== 0) throw new Error(`sshd of ${host.name}: ${stderr}`);
    }),
  );
  const names = lab.hosts.flatMap((host) => ports.map((port) => ({ name: `${host.name}-${port}`, host, port })));
  const aliases = names.map(
    ({ name, host, port }) => `Host ${name}\n  HostName ${host.address}\n  Port ${port}\n  HostKeyAlias ${host.name}\n`,
  );
  const sshConfig = join(folder, 'ssh_config');
  const common = `Host *\n  User root\n  IdentityFile "${lab.privateKeyFile}"\n  IdentitiesOnly yes\n  UserKnownHostsFile "${lab.knownHostsFile}"\n  GlobalKnownHostsFile /dev/null\n`;
  await writeFile(sshConfig, `${aliases.join('')}${common}`);
  const file = join(folder, 'destinations');
  await writeFile(file, `${names.map(({ name }) => name).join('\n')}\n`);
  const config = {
    identity: await readFile(lab.privateKeyFile, 'utf8'),
    knownHosts: lab.knownHosts.join('\n'),
    sshConfig,
    persist: '10m',
    connections: { total: atOnce },
  };
  const hosts = names.map(({ name }) => ({ id: name, address: parseHostAddress(name), available: true, attributes: {} }));
  return {
    count: names.length,
    pssh: () => timed(() => tools.pssh('true', { file, atOnce, config: sshConfig })),
    /** Cold: the connecting itself runs `true` on the host. Warm: `true` again over each connection. */
    pipit: async (client) => {
      const { transport, close } = await openSshPlugin(folder, { ...config, client });
      try {
        const call = callOf('connections');
        let open = [];
        const cold = await timed(async () => {
          open = await Promise.all(hosts.map((host) => transport.connect(host, call)));
        });
        const warm = await timed(async () => {
          const results = await Promise.all(open.map((connection) => connection.run(['true'])));
          if (results.some(({ exitCode }) => exitCode !== 0)) throw new Error('`true` failed on a host');
        });
        return { cold, warm };
      } finally {
        await close();
      }
    },
  };
};
