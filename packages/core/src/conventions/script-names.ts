/** The scripts a repository has by convention. Each may just `exit 0`. Paths are relative to the repository's root. */
export const SCRIPTS = {
  /** Prepares CI: fetches dependencies. */
  ciSetup: 'script/cisetup',
  /** Builds and tests. */
  ciBuild: 'script/cibuild',
  /** Becomes the package's post-install script. */
  postInstall: 'script/post-inst',
  /** Optional: fills the package's root (`$PIPIT_PACKAGE_ROOT`) for what is compiled. Without it the commit's files go under the prefix. */
  package: 'script/package',
} as const;

/** `pipit lint` wants these to exist and to be executable. */
export const REQUIRED_SCRIPTS = [SCRIPTS.ciSetup, SCRIPTS.ciBuild, SCRIPTS.postInstall] as const;

/** Optional, at the repository's root: what convention cannot guess. */
export const REPOSITORY_FILE = 'pipit.yaml';

/** Where a repository keeps the systemd unit of a service that its `pipit.yaml` names. */
export const unitFilePath = (service: string): string => `systemd/${service.replace(/\.service$/, '')}.service`;
