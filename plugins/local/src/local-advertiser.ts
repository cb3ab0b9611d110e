import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  type Advertisement,
  type Advertiser,
  type Cursor,
  PluginError,
  parseDigest,
  parsePackageName,
  parsePackageVersion,
  type RingRef,
} from '@pipit/core';
import { describeIssues } from '@pipit/plugin-kit';
import { z } from 'zod';
import { releaseDeadLock, withFolderLock } from './folder-lock.js';
import { holdUntilChanged } from './hold-until-changed.js';
import { switchLink, syncFolder, writeWhole } from './write-whole.js';

export interface LocalAdvertiserOptions {
  /**
   * The instance's private folder. A ring's version stands in `<folder>/advertised/<app>/<role>/<ring>/version`, one line that any tool can
   * read, and the document beside it in `advertisement.json`.
   */
  readonly folder: string;
}

/** Earlier states that stay, for whoever entered the folder before it was switched. */
const KEPT_STATES = 10;

/** Hundreds of artifacts; as much as a Consul key takes, too. */
const MAX_DOCUMENT_LENGTH = 512 * 1024;

/** What the cursor is before anything was advertised. */
const NOTHING: Cursor = 'nothing';

const parsed = <T>(parse: (text: string) => T) =>
  z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (thrown) {
      context.addIssue({ code: 'custom', message: thrown instanceof Error ? thrown.message : String(thrown) });
      return z.NEVER;
    }
  });

const documentSchema = z.object({
  version: parsed(parsePackageVersion),
  sequence: z.int().nonnegative(),
  artifacts: z.array(
    z.object({
      format: z.enum(['deb', 'rpm', 'oci']),
      name: parsed(parsePackageName),
      version: parsed(parsePackageVersion),
      architecture: z.string(),
      digest: parsed(parseDigest),
    }),
  ),
});

const parseDocument = (text: string, path: string): Advertisement => {
  try {
    if (text.length > MAX_DOCUMENT_LENGTH) throw new RangeError(`it has more than ${MAX_DOCUMENT_LENGTH} characters`);
    return documentSchema.parse(JSON.parse(text));
  } catch (thrown) {
    throw new PluginError({
      code: 'ADVERTISEMENT_INVALID',
      message: `${path} is not an advertisement: ${thrown instanceof z.ZodError ? describeIssues(thrown) : String(thrown)}`,
      hint: "Somebody edited it. Remove the ring's folder: pipit advertises again at the next rollout.",
      recovery: 'stop',
      cause: thrown,
    });
  }
};

interface State {
  readonly current?: Advertisement;
  readonly cursor: Cursor;
}

/**
 * Advertised versions in files. The version and its document are one folder that is switched by one rename of a link, so the two never
 * disagree for whoever looks at the folder (`cd` once, then read). Check-and-set holds over all processes of this machine, and what was
 * answered as written is on disk.
 */
export const createLocalAdvertiser = <Options>({ folder }: LocalAdvertiserOptions): Advertiser<Options> => {
  const advertised = join(folder, 'advertised');
  const linkOf = ({ app, role, ring }: RingRef): string => join(advertised, app, role, ring);
  const statesOf = ({ app, role, ring }: RingRef): string => join(advertised, app, role, '.states', ring);

  const lockOf = (ring: RingRef): string => `${statesOf(ring)}.lock`;

  const read = async (ring: RingRef): Promise<State> => {
    const link = linkOf(ring);
    for (;;) {
      const target = await readlink(link).catch((thrown: unknown) => {
        if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
        throw thrown;
      });
      if (target === undefined) return { cursor: NOTHING };
      const path = join(statesOf(ring), basename(target), 'advertisement.json');
      const text = await readFile(path, 'utf8').catch(() => undefined);
      if (text !== undefined) return { current: parseDocument(text, path), cursor: createHash('sha256').update(text).digest('hex') };
      // Switched twice since the link was read, and removed: look at the new one. If the link still leads nowhere, that is a broken state.
      if ((await readlink(link).catch(() => undefined)) === target) parseDocument('', path);
    }
  };

  return {
    async read({ ring, after }, call) {
      // Whoever was killed between its write and the lock's removal is not asked to write again: its operation reads, and goes on.
      await releaseDeadLock({ path: lockOf(ring), signal: call.signal });
      return holdUntilChanged(() => read(ring), after, call);
    },

    async write({ ring, next, expected }, op) {
      const states = statesOf(ring);
      return withFolderLock({ path: lockOf(ring), signal: op.signal }, async () => {
        if ((await read(ring)).cursor !== expected) return 'conflict';
        const link = linkOf(ring);
        await mkdir(states, { recursive: true, mode: 0o700 });
        const current = existsSync(link) ? Number(basename(await readlink(link))) : 0;
        const numbers = (await readdir(states)).map(Number);
        // A later one than the current was never switched to.
        for (const number of numbers)
          if (number > current || number <= current - KEPT_STATES) await rm(join(states, String(number)), { recursive: true, force: true });
        const state = join(states, String(current + 1));
        await mkdir(state, { mode: 0o700 });
        await writeWhole(join(state, 'version'), `${next.version}\n`);
        await writeWhole(join(state, 'advertisement.json'), `${JSON.stringify(next, undefined, 2)}\n`);
        await syncFolder(states);
        await switchLink(link, join('.states', ring.ring, String(current + 1)));
        return 'written';
      });
    },
  };
};
