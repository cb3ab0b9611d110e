import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder of the benchmark's own, gone when it ends. PIPIT_BENCH_FOLDER chooses the disk: a file system in memory would make every commit free. */
export const makeFolder = () => {
  const parent = process.env.PIPIT_BENCH_FOLDER ?? tmpdir();
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(join(parent, 'pipit-bench-'));
  // The database's own user has to pass through.
  chmodSync(folder, 0o711);
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
};

export const fileSystemOf = (folder) => execFileSync('stat', ['--file-system', '--format=%T', folder], { encoding: 'utf8' }).trim();
