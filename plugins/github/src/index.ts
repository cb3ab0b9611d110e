import { definePlugin } from '@pipit/core';
import { checkGithubHealth } from './check-health.js';
import { config, notifierOptions } from './config.js';
import { createGithubClient } from './github-client.js';
import { createGithubNotifier } from './github-notifier.js';
import { listRepositories } from './github-repositories.js';
import { createGithubTrigger } from './github-trigger.js';

/** Pushes from GitHub in; commit statuses and deployments back. */
export const plugin = definePlugin({
  name: '@pipit/plugin-github',
  config,
  provides: {
    trigger: { version: 1 },
    notifier: { version: 1, options: notifierOptions },
  },
  setup(settings, { folder, logger }) {
    const repositories = listRepositories(settings);
    const client = createGithubClient(settings, logger);
    return {
      ...createGithubTrigger({ config: settings, repositories, client, folder, logger }),
      notifier: createGithubNotifier({ repositories, client }),
      checkHealth: (call) => checkGithubHealth({ config: settings, repositories, client, folder }, call),
    };
  },
});

export type { GithubConfig, NotifierOptions } from './config.js';
