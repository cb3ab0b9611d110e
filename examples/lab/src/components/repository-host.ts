import type { LabHost } from '../host.js';

/** Where a lab host serves its published tree. */
export interface RepositoryHost {
  /** Without a closing slash; what stands in the folder is under it. */
  readonly url: string;
  /** On the host. Publish here; symbolic links are followed. */
  readonly folder: string;
}

/**
 * Serves a folder of a lab host (layer `repository`) over HTTP, port 80, to the lab and this machine.
 * @param folder Absolute, on the host; made when missing. Default `/srv/repository`.
 */
export const startRepositoryHost = async (host: LabHost, folder = '/srv/repository'): Promise<RepositoryHost> => {
  const site = `server {\n  listen 80 default_server;\n  root ${folder};\n  autoindex on;\n  location / { try_files $uri $uri/ =404; }\n}\n`;
  const steps: readonly (readonly [argv: readonly string[], input?: string])[] = [
    [['mkdir', '-p', folder]],
    [['tee', '/etc/nginx/sites-available/default'], site],
    [['nginx', '-t', '-q']],
    [['systemctl', 'enable', '--quiet', 'nginx']],
    [['systemctl', 'reload-or-restart', 'nginx']],
  ];
  for (const [argv, input] of steps) {
    const { exitCode, stderr } = await host.exec(argv, { ...(input !== undefined && { input }) });
    if (exitCode !== 0) throw new Error(`${argv.join(' ')} on ${host.name} ended with ${exitCode}: ${stderr}`);
  }
  return { url: `http://${host.address}`, folder };
};
