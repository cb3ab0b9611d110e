import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { findBrokenAudit } from '@pipit/pipeline';
import type { Installation } from './installation.js';
import { waitUntil } from './wait-until.js';

const walk = async (folder: string): Promise<readonly string[]> => {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? [path, ...(await walk(path))] : [path];
    }),
  );
  return below.flat();
};

/** Names that unfinished work has here: `.new` and `.tmp` of files that are written whole, locks, git's own. */
const TEMPORARY_NAME = /\.(?:new|tmp|lock|breaking)$|\.lock\.\d+$|^(?:checkout|git|incoming|tmp_obj|tmp_pack)[-_]/;

/** Temporary files of an installation, relative to its data folder, and clean-ups that are still to be done. */
export const findLeftBehind = async ({ dataFolder, localFolder, query }: Installation): Promise<readonly string[]> => {
  const work = await walk(join(dataFolder, 'work'));
  const aptTemporary = await walk(join(localFolder, 'incoming'));
  const places = ['sources', 'files', 'instances/local'].map((name) => join(dataFolder, name));
  const named = (await Promise.all(places.map(walk)))
    .flat()
    // The hosts' own package managers keep their locks as files.
    .filter((path) => !path.startsWith(join(localFolder, 'hosts')) && !path.startsWith(join(localFolder, 'gnupg')))
    .filter((path) => TEMPORARY_NAME.test(path.slice(path.lastIndexOf('/') + 1)));
  const cleanups = await query('select target from cleanups');
  return [
    ...[...work, ...aptTemporary, ...named].map((path) => relative(dataFolder, path)),
    ...cleanups.map((row) => `clean-up of ${String(row.target)}`),
  ];
};

/** Waits until nothing temporary is left; the janitor looks every second. */
export const expectNothingLeftBehind = async (installation: Installation, withinMs = 15_000): Promise<void> => {
  let left: readonly string[] = [];
  try {
    await waitUntil(
      'nothing temporary is left',
      async () => {
        left = await findLeftBehind(installation);
        return left.length === 0 ? true : undefined;
      },
      withinMs,
    );
  } catch (cause) {
    throw new Error(`Left behind: ${left.join(', ')}`, { cause });
  }
};

/** Reads the whole audit trail over the API, oldest first. */
export const readAuditTrail = async (installation: Installation) => {
  const api = installation.api();
  const newestFirst = [];
  let before: string | undefined;
  for (;;) {
    const page = await api.listAudit({ limit: 200, ...(before === undefined ? {} : { before }) });
    newestFirst.push(...page.rows);
    if (page.next === null) return newestFirst.reverse();
    before = page.next;
  }
};

export const expectAuditWhole = async (installation: Installation): Promise<void> => {
  const broken = findBrokenAudit(await readAuditTrail(installation));
  if (broken !== undefined) throw new Error(`The audit trail is broken at line ${broken.sequence}`);
};
