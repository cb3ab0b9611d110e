import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabHost } from 'pipit-lab';

/** Lets unattended-upgrades take packages from wherever they come, which is more than anybody should. */
export const allowAllOrigins = (host: LabHost): Promise<void> =>
  writeFile(join(host.rootFolder, 'etc/apt/apt.conf.d/99-all-origins'), 'Unattended-Upgrade::Origins-Pattern { "site=*"; };\n');

/** Its own words for a host where it finds nothing to do. */
export const NOTHING_FOUND = 'No packages found that can be upgraded unattended';

const must = async (host: LabHost, script: string): Promise<string> => {
  const { exitCode, stdout, stderr } = await host.exec(['sh', '-euc', script]);
  if (exitCode !== 0) throw new Error(`On ${host.name}: ${stderr || stdout}`);
  return stdout;
};

/** Runs it as its timer does, with the lists as the host's own update has them. */
export const upgradeUnattended = (host: LabHost): Promise<string> => must(host, 'apt-get -q update >&2; unattended-upgrade -v 2>&1');

/**
 * What it says it would do, if the host had another source in place of its ring's; nothing is changed.
 *
 * @param pinned whether the host's preferences hold: pipit's pin stands there
 */
export const wouldUpgrade = (host: LabHost, source: string, pinned: boolean): Promise<string> =>
  must(
    host,
    `folder=$(mktemp -d); trap 'rm -rf -- "$folder"' EXIT
mkdir -p "$folder/sources" "$folder/lists/partial"; chmod -R a+rX "$folder"
cat >"$folder/sources/other.list" <<'END'
${source.trim()}
END
cat >"$folder/apt.conf" <<END
Dir::Etc::sourceparts "$folder/sources";
Dir::State::lists "$folder/lists";
${pinned ? '' : 'Dir::Etc::preferencesparts "/dev/null";'}
END
export APT_CONFIG=$folder/apt.conf
apt-get -q update >&2
unattended-upgrade -v --dry-run 2>&1`,
  );
