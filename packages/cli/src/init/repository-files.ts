import { join } from 'node:path';
import { REPOSITORY_FILE, SCRIPTS } from '@pipit/core';
import type { NewFile } from './write-new-files.js';

const EXECUTABLE = 0o755;

const CI_SETUP = `#!/bin/sh
# Prepares CI: fetch what the build needs. It runs in a folder that holds exactly the pushed commit.
# A failure here ends the run.
set -eu

exit 0
`;

const CI_BUILD = `#!/bin/sh
# Builds and tests. Only what passes here is packaged.
set -eu

exit 0
`;

const POST_INSTALL = `#!/bin/sh
# Becomes the package's post-install script: runs on each host after its files are in place, again at each upgrade.
# Services that ${REPOSITORY_FILE} names are restarted after it.
set -eu

exit 0
`;

const REPOSITORY_TEXT = `# What pipit cannot guess of this repository. Every key may be left out.
# It can never choose hosts, rings or approvals: those stand in pipit's own config.

# The version before the commit time.
# version: 1.0.0

# description: What this is, in one line

# Packages it needs, in the package manager's words.
# depends: [ "libc6 (>= 2.36)" ]

# \`all\` unless something is compiled (then script/package fills $PIPIT_PACKAGE_ROOT).
# architectures: [ amd64 ]

# Where the files go; /opt/<app> unless you say otherwise.
# prefix: /opt/example

# systemd units to restart after an install; each stands in systemd/<name>.service.
# services: [ example ]

# Asked of each host after an install; a canary that does not answer goes back by itself.
# health: { type: http, port: 8080, path: /healthz, within: 30s }
`;

/** What a repository needs to be delivered: its three scripts, each of which passes as it is, and a commented \`pipit.yaml\`. */
export const repositoryFiles = (folder: string): readonly NewFile[] => [
  { path: join(folder, SCRIPTS.ciSetup), text: CI_SETUP, mode: EXECUTABLE, what: 'prepares CI' },
  { path: join(folder, SCRIPTS.ciBuild), text: CI_BUILD, mode: EXECUTABLE, what: 'builds and tests' },
  { path: join(folder, SCRIPTS.postInstall), text: POST_INSTALL, mode: EXECUTABLE, what: 'runs on each host after an install' },
  { path: join(folder, REPOSITORY_FILE), text: REPOSITORY_TEXT, what: 'what pipit cannot guess of it' },
];
