import type { Logger } from '@pipit/core';
import { systemClock } from './machine/system-clock.js';
import type { Storage } from './storage.js';

const SWEEP_MS = 60 * 60_000;
/** Younger files may belong to a release that is about to be recorded. */
const KEEP_MS = 24 * 60 * 60_000;

/** Removes, every hour, what the file store holds and no release or open run needs. Returns how to stop it. */
export const startFileSweep = ({ records, files }: Pick<Storage, 'records' | 'files'>, logger: Logger): (() => Promise<void>) => {
  const stopping = new AbortController();
  const sweepOnce = async (): Promise<void> => {
    const releases = await records.list('releases');
    const kept = new Set(
      releases.flatMap((release) =>
        release.artifacts.map((artifact) => ('sha256' in artifact.content ? artifact.content.sha256 : artifact.digest)),
      ),
    );
    await files.sweep({ keep: (digest) => kept.has(digest), olderThanMs: KEEP_MS });
  };
  const loop = (async () => {
    while (!stopping.signal.aborted) {
      await systemClock.sleep(SWEEP_MS, stopping.signal);
      if (!stopping.signal.aborted) await sweepOnce().catch((error: unknown) => logger.warn({ error }, 'File store not swept'));
    }
  })();
  return async () => {
    stopping.abort();
    await loop;
  };
};
