import { type BuildRequest, type BuildResult, type Ci, parseCommitSha, parseRefName, type TaskState } from '@pipit/core';
import { type CiHarness, createMemoryFileStore, createTestOp, createTestSource } from '../../src/index.js';
import { APP, COMMIT } from './requests.js';

interface Options {
  readonly passes: boolean;
}

interface Build {
  readonly id: string;
  readonly key: string;
  readonly request: BuildRequest<Options>;
  looks: number;
  cancelled: boolean;
}

export type CiFault =
  | 'finds without a start'
  | 'keeps builds in the instance'
  | 'gives an empty handle'
  | 'starts again when it is asked to find'
  | 'passes another commit'
  | 'answers another word each time'
  | 'throws when the build fails'
  | 'finds an ended try by its commit'
  | 'starts although it is aborted'
  | 'holds although it is aborted'
  | 'takes any handle for a running build'
  | 'repeats the log for ever'
  | 'cannot cancel twice'
  | 'collects other bytes each time'
  | 'answers with a date';

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

const LOG = ['setting up\n', 'building\n'];

class MemoryCi implements Ci<Options> {
  constructor(
    private readonly builds: Build[],
    private readonly fault: CiFault | undefined,
  ) {}

  private add(key: string, request: BuildRequest<Options>): string {
    const build = { id: `build-${this.builds.length + 1}`, key, request, looks: 0, cancelled: false };
    this.builds.push(build);
    return this.fault === 'gives an empty handle' ? '' : build.id;
  }

  find: Ci<Options>['find'] = async (request, op) => {
    if (this.fault === 'finds without a start') return 'build-1';
    if (this.fault === 'starts again when it is asked to find' && this.builds.length > 0) return this.add(op.key, request);
    const byCommit = this.fault === 'finds an ended try by its commit';
    return this.builds.find((build) => build.key === op.key || (byCommit && build.request.commit.sha === request.commit.sha))?.id;
  };

  start: Ci<Options>['start'] = async (request, op) => {
    if (this.fault !== 'starts although it is aborted') op.signal.throwIfAborted();
    return this.add(op.key, request);
  };

  inspect: Ci<Options>['inspect'] = async ({ handle }, op): Promise<TaskState<BuildResult>> => {
    if (this.fault === 'holds although it is aborted') {
      await new Promise((resolve) => setImmediate(resolve));
      if (op.signal.aborted) return new Promise(() => {});
    }
    const build = this.builds.find(({ id }) => id === handle);
    if (build === undefined)
      return this.fault === 'takes any handle for a running build'
        ? { state: 'running' }
        : { state: 'lost', reason: `${handle} is not known` };
    build.looks += 1;
    if (build.cancelled) return { state: 'ended', result: { outcome: 'cancelled', reason: 'Cancelled', raw: 'ABORTED' } };
    if (build.looks < 2) return { state: 'running' };
    if (!build.request.options.passes) {
      if (this.fault === 'throws when the build fails') throw new Error('The build failed');
      return { state: 'ended', result: { outcome: 'failed', reason: 'A test failed', raw: 'FAILURE' } };
    }
    const commit = this.fault === 'passes another commit' ? parseCommitSha('b'.repeat(40)) : build.request.commit.sha;
    const raw = this.fault === 'answers another word each time' ? `SUCCESS ${build.looks}` : 'SUCCESS';
    // A date is what the type forbids and a careless cast lets through.
    const result =
      this.fault === 'answers with a date'
        ? { outcome: 'passed' as const, commit, raw: new Date(0) as unknown as string }
        : { outcome: 'passed' as const, commit, raw };
    return { state: 'ended', result };
  };

  cancel: NonNullable<Ci<Options>['cancel']> = async ({ handle }) => {
    const build = this.builds.find(({ id }) => id === handle);
    if (build === undefined || build.looks >= 2) return;
    if (build.cancelled && this.fault === 'cannot cancel twice') throw new Error('It is cancelled already');
    build.cancelled = true;
  };

  readLog: NonNullable<Ci<Options>['readLog']> = async (_started, after) => {
    const from = this.fault === 'repeats the log for ever' ? 0 : Number(after ?? 0);
    return { text: LOG[from] ?? '', cursor: String(Math.min(from + 1, LOG.length)) };
  };

  collect: NonNullable<Ci<Options>['collect']> = async (_started, op) => {
    const text = this.fault === 'collects other bytes each time' ? String(op.clock.now().getTime() + Math.random()) : 'compiled';
    return [{ path: 'bin/web', file: await op.files.put(once(text)) }];
  };
}

/** A CI whose vendor is a list in memory. */
export const memoryCiHarness = (fault?: CiFault): CiHarness<Options> => ({
  open: async () => {
    const builds: Build[] = [];
    const source = await createTestSource({ files: { 'README.md': 'web' } });
    const request = (passes: boolean): BuildRequest<Options> => ({
      app: APP,
      commit: COMMIT,
      ref: parseRefName('refs/heads/main'),
      options: { passes },
    });
    const shell = {
      folder: '/nowhere',
      run: () => Promise.reject(new Error('unused')),
      write: () => Promise.reject(new Error('unused')),
      read: () => once(''),
    };
    return {
      good: request(true),
      bad: request(false),
      outputPaths: ['bin/web'],
      forgottenHandle: 'build-999',
      endTimeoutMs: 1_000,
      reopen: async () => new MemoryCi(fault === 'keeps builds in the instance' ? [] : builds, fault),
      createOp: async ({ key, signal }) =>
        createTestOp({
          shell,
          source,
          files: createMemoryFileStore(),
          callbackUrl: 'http://127.0.0.1/',
          key,
          ...(signal === undefined ? {} : { signal }),
        }),
      countEffects: async () => builds.length,
      close: () => source.remove(),
    };
  },
});
