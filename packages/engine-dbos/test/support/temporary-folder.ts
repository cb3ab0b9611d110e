import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** An empty folder that is gone after the test. In /tmp and not in $TMPDIR: other users must be able to pass to it. */
export const temporaryFolder = async (): Promise<string> => {
  const folder = await mkdtemp(join('/tmp', 'pipit-edb-'));
  await chmod(folder, 0o711);
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return folder;
};
