import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Artifact,
  type Host,
  type HostReport,
  type PackageName,
  parseHostAddress,
  type RolloutRequest,
  type Sandbox,
} from '@pipit/core';
import { inspectDetached } from '@pipit/plugin-kit';
import { createAptRepository } from '../src/apt-repository.js';
import { createLocalDeployer, type LocalDeployerOptions } from '../src/local-deployer.js';
import { stopHostServices } from '../src/service-supervisor.js';
import { callFor, canary, loopbackAddress, releaseOf, removeFolder, silent, temporaryFolder, trusted, until } from './hosts-support.js';

type Options = Readonly<Record<string, never>>;
type Request = RolloutRequest<Options>;

export const hostNamed = (id: string, number: number): Host => ({
  id,
  address: parseHostAddress(loopbackAddress(number)),
  available: true,
  attributes: { architecture: 'amd64' },
});

/** A folder with a repository and a deployer over it, as an instance of the plugin has. */
export const openDeployer = async ({
  sandboxOf = async () => trusted,
  ...more
}: { readonly sandboxOf?: (folder: string) => Promise<Sandbox> } & Partial<LocalDeployerOptions> = {}) => {
  const folder = await temporaryFolder();
  // What pipit does where code that has no namespaces must pass through.
  await chmod(folder, 0o711);
  const sandbox = await sandboxOf(folder);
  const repository = createAptRepository<Options>({ folder, logger: silent });
  const deployer = createLocalDeployer<Options>({ folder, sandbox, logger: silent, ...more });
  let sequence = 0;

  const rollOut = async (artifact: Artifact, request: Partial<Request> & Pick<Request, 'hosts'>): Promise<readonly HostReport[]> => {
    sequence += 1;
    const key = `rollout-${sequence}:install:1`;
    const { ring = canary } = request;
    await repository.publish({ artifacts: [artifact], options: {} }, callFor(key));
    await repository.offer({ ring, artifacts: [artifact], options: {} }, callFor(key));
    const sources = await repository.installSources({ ring, options: {} }, callFor(key));
    const whole: Request = { ring, sequence, services: [], release: releaseOf(artifact), sources, options: {}, ...request };
    const handle = await deployer.start(whole, callFor(key));
    return until(
      `the end of ${key}`,
      async () => {
        const state = await deployer.inspect({ handle, request: whole }, callFor(key));
        return state.state === 'ended' ? state.result : undefined;
      },
      25_000,
    );
  };

  return {
    folder,
    sandbox,
    rollOut,
    rootOf: (host: Host): string => join(folder, 'hosts', host.id),
    observe: (hosts: readonly Host[], check?: Request['check'], packages: readonly PackageName[] = []): Promise<readonly HostReport[]> =>
      deployer.observe({ ring: canary, packages, hosts, ...(check === undefined ? {} : { check }), options: {} }, callFor('observe')),
    close: async (): Promise<void> => {
      await stopHostServices(folder);
      await repository.dispose();
      await removeFolder(folder);
    },
  };
};

export type DeployerWorld = Awaited<ReturnType<typeof openDeployer>>;

/** The only report of a batch of one. */
export const only = (reports: readonly HostReport[]): HostReport => {
  const [report] = reports;
  if (report === undefined || reports.length !== 1) throw new Error(`${reports.length} reports`);
  return report;
};

export const untilEnded = (task: string) =>
  until('the task has ended', async () => {
    const state = await inspectDetached(task);
    return state?.state === 'running' ? undefined : state;
  });
