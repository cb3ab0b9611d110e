import { type BuildRequest, parseAppName, parseRefName } from '@pipit/core';
import { createTemporaryFolder, createTestOp, createTestShell, createTestSource, testCi, testPlugin } from '@pipit/plugin-testing';
import { createSmithyCi } from './smithy-ci.js';
import type { SmithyBuild, SmithyClient } from './smithy-client.js';
import type { SmithyOptions } from './smithy-config.js';
import { plugin } from './smithy-plugin.js';

testPlugin('pipit-plugin-smithy', {
  plugin,
  goodConfig: { url: 'https://smithy.example.org', token: 't0ken' },
  badConfigs: { 'no token': { url: 'https://smithy.example.org' }, 'a broken URL': { url: 'smithy', token: 't0ken' } },
  secrets: ['t0ken'],
});

/** Smithy, as far as the plugin can tell: a build of the project `red` fails. The real plugin's test runs a fake HTTP server instead. */
const createFakeSmithy = () => {
  const builds: SmithyBuild[] = [];
  const client: SmithyClient = {
    findBuild: async (_project, label) => builds.find((build) => build.label === label),
    startBuild: async (project, { label, commit }) => {
      const id = String(builds.length + 1);
      const build: SmithyBuild = {
        id,
        label,
        commit,
        page: `https://smithy.example.org/${id}`,
        status: project === 'red' ? 'red' : 'green',
      };
      builds.push(build);
      return build;
    },
    readBuild: async (_project, id) => builds.find((build) => build.id === id),
  };
  return { builds, client };
};

testCi('pipit-plugin-smithy', {
  open: async () => {
    const { builds, client } = createFakeSmithy();
    const folder = await createTemporaryFolder();
    const source = await createTestSource({ files: { 'script/cibuild': { text: '#!/bin/sh\n', mode: 0o755 } } });
    const requestFor = (project: string): BuildRequest<SmithyOptions> => ({
      app: parseAppName('web'),
      commit: source.commit,
      ref: parseRefName('refs/heads/main'),
      options: { project },
    });
    return {
      good: requestFor('green'),
      bad: requestFor('red'),
      forgottenHandle: '999',
      reopen: async () => createSmithyCi(client),
      countEffects: async () => builds.length,
      createOp: async ({ key, signal }) =>
        createTestOp({
          key,
          source,
          shell: createTestShell(folder.path),
          callbackUrl: 'https://pipit.example.org/hooks/smithy',
          ...(signal === undefined ? {} : { signal }),
        }),
      close: async () => {
        await source.remove();
        await folder.remove();
      },
    };
  },
});
