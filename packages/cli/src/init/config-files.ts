import { join } from 'node:path';
import { PRODUCTION_RING, parseAppName, parseRingName, parseRoleName, ringTag } from '@pipit/core';
import { DEFAULT_CONFIG_FILE } from '../config-file.js';
import { appOf, type ConfigAnswers } from './config-answers.js';
import type { NewFile } from './write-new-files.js';

export const SCHEMA_FILE = 'pipit.schema.json';
const INVENTORY_FILE = 'inventory.yaml';
const SECRET_FILE = 'webhook-secret';

/** A double-quoted YAML text is a JSON text. */
const quote = (text: string): string => JSON.stringify(text);

const configText = (
  folder: string,
  { repository, repositoryPath, port }: ConfigAnswers,
): string => `# yaml-language-server: $schema=./${SCHEMA_FILE}
# pipit's config. \`pipit check\` says what is wrong with it; \`pipit schema > ${SCHEMA_FILE}\` renews the completion of your editor.
version: 1

# Where pipit keeps everything: its database, packages, keys. Relative to this file.
dataFolder: .pipit

server:
  host: 127.0.0.1 # this machine only; reading needs no token
  port: ${port}

# Configured plugins, by a name of your choice.
plugins:
  local: # all six kinds on this machine: no other service is needed
    uses: "@pipit/plugin-local"
    with:
      secret: { $file: ./${SECRET_FILE} } # signs the webhook of the repositories' post-receive hooks
      inventory: ${quote(join(folder, INVENTORY_FILE))} # which hosts there are
      repositories: # bare git repositories whose pushes start runs
        ${quote(repository)}:
          path: ${quote(repositoryPath)}
          branches: [main]

# A pipeline serves every repository that its list and rule let in.
pipelines:
  main:
    repositories: [${quote(repository)}] # globs, for example "acme/*"
    trigger: # tells of pushes
      use: local
      branches: [main]
    ci: local # runs script/cisetup and script/cibuild of the exact commit
    packager: local # makes a deb
    repository: local # a signed APT repository with a view for each ring
    discovery: local # knows the hosts, and keeps what each ring should run
    deployer: local # installs with apt, checks, writes a receipt
    rings: # each is fed only from the one before
      - name: canary
        bake: 0s # watch the canary for so long before it may go on, for example 30m
        # minHealthy: 50%     # default: at least one, and half
      - name: ${PRODUCTION_RING}
        promotion: manual # a person runs \`pipit promote\`; or automatic
    # health: { type: http, port: 8080, path: /healthz, within: 30s } # unless a repository's pipit.yaml says it
`;

const inventoryText = ({ repository }: ConfigAnswers): string => {
  const app = parseAppName(appOf(repository));
  const role = parseRoleName('app');
  const tag = (ring: string): string => quote(ringTag({ app, role, ring: parseRingName(ring) }));
  return `# The hosts and their tags: <app>::<role> for production, <app>::<role>_canary for the canary.
# These are examples on this machine's loopback addresses; the local deployer makes a package root for each.
hosts:
  ${app}-canary1:
    address: 127.77.0.11
    tags: [${tag('canary')}]
  ${app}-production1:
    address: 127.77.0.21
    tags: [${tag(PRODUCTION_RING)}]
  ${app}-production2:
    address: 127.77.0.22
    tags: [${tag(PRODUCTION_RING)}]
    # available: false          # not to be reached now; it converges when it is back
    # reason: new disk on Monday
`;
};

/** What `pipit init` writes beside the schema. */
export const configFiles = (folder: string, answers: ConfigAnswers, secret: string): readonly NewFile[] => [
  { path: join(folder, DEFAULT_CONFIG_FILE), text: configText(folder, answers), what: 'the config, every key explained' },
  { path: join(folder, INVENTORY_FILE), text: inventoryText(answers), what: 'the hosts: put yours here' },
  { path: join(folder, SECRET_FILE), text: `${secret}\n`, mode: 0o600, what: 'signs webhooks; only you can read it' },
];
