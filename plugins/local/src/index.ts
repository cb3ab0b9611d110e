import { realpath } from 'node:fs/promises';
import { definePlugin, type HealthFinding } from '@pipit/core';
import { findProgram } from '@pipit/plugin-kit';
import { createAptRepository } from './apt-repository.js';
import { config, type LocalConfig } from './config.js';
import { createLocalAdvertiser } from './local-advertiser.js';
import { createLocalCi } from './local-ci.js';
import { createLocalDeployer } from './local-deployer.js';
import { createLocalDiscovery } from './local-discovery.js';
import { createLocalPackager } from './local-packager.js';
import { createLocalTrigger, type LocalRepository } from './local-trigger.js';

/** No pipeline says anything beside `use:` to this plugin. */
type NoOptions = Readonly<Record<string, never>>;

/** A repository is known by its real path; one that is not there yet by the path that the config says. */
const resolveRepositories = (repositories: LocalConfig['repositories']): Promise<readonly LocalRepository[]> =>
  Promise.all(
    Object.entries(repositories).map(async ([name, { path, branches }]) => ({
      name,
      branches,
      path: await realpath(path).catch(() => path),
    })),
  );

/** All six kinds and the advertiser on one machine: pipit's embedded default. */
export const plugin = definePlugin({
  name: '@pipit/plugin-local',
  config,
  provides: {
    trigger: { version: 1 },
    ci: { version: 1 },
    packager: { version: 1 },
    repository: { version: 1 },
    discovery: { version: 1 },
    advertiser: { version: 1 },
    deployer: { version: 1 },
  },
  async setup(settings, { folder, logger, sandbox }) {
    const secrets = [settings.secret, ...(settings.previousSecret === undefined ? [] : [settings.previousSecret])];
    const { trigger, receive, checkHealth } = createLocalTrigger({
      repositories: await resolveRepositories(settings.repositories),
      secrets,
      logger,
    });
    const packager = createLocalPackager<NoOptions>({ maintainer: settings.maintainer });
    const repository = createAptRepository<NoOptions>({
      folder,
      logger,
      keepVersions: settings.keepVersions,
      ...(settings.architectures === undefined ? {} : { architectures: settings.architectures }),
      ...(settings.url === undefined ? {} : { url: settings.url }),
    });
    const discovery = createLocalDiscovery<NoOptions>({ inventory: settings.inventory, folder });
    const deployer = createLocalDeployer<NoOptions>({
      folder,
      sandbox,
      logger,
      parallel: settings.parallel,
      installLimitMs: settings.installLimit,
    });
    return {
      trigger,
      ci: createLocalCi<NoOptions>({
        sandbox,
        timeLimitMs: settings.build.timeLimit,
        maxOutputBytes: settings.build.maxOutput,
      }),
      packager,
      repository,
      discovery,
      advertiser: createLocalAdvertiser<NoOptions>({ folder }),
      deployer,
      receive,
      async checkHealth(call) {
        const confinement: HealthFinding =
          sandbox.mode === 'namespaces'
            ? { name: 'sandbox', ok: true, detail: 'bubblewrap' }
            : sandbox.mode === 'user'
              ? { name: 'sandbox', ok: true, detail: 'a user of its own only', hint: 'apt-get install bubblewrap hides more.' }
              : { name: 'sandbox', ok: true, detail: 'none: the config trusts the repositories' };
        const groups = await Promise.all([
          checkHealth(call.signal),
          repository.checkHealth(call),
          discovery.checkHealth(call),
          deployer.checkHealth(call),
        ]);
        const findings = [findProgram('git', 'git'), confinement, ...packager.checkHealth(), ...groups.flat()];
        // Several parts look at the same program.
        return findings.filter((finding, index) => findings.findIndex(({ name }) => name === finding.name) === index);
      },
      dispose: repository.dispose,
    };
  },
});

export type { LocalConfig } from './config.js';
export { type PostReceiveHook, renderPostReceiveHook } from './local-trigger-hook.js';
export { stopHostServices } from './service-supervisor.js';
