import { type Paint, type TextOutput, watchRun } from '@pipit/cli';
import type { Api, RunDetail } from '@pipit/runtime';
import type { Developer, Pushed } from './clone.js';
import { type Expectation, expectHosts } from './expect-hosts.js';
import { showHosts } from './show-hosts.js';

/** One change of a file. */
interface Edit {
  readonly file: string;
  readonly change: (text: string) => string;
}

/** What the developer does to the sample app. */
export interface Edits {
  /** A test of the app notices it. */
  readonly breakTest: Edit;
  readonly mendTest: Edit;
  /** Only a host notices it: the service does not start there. */
  readonly breakService: Edit;
}

export interface Story {
  readonly edits: Edits;
  readonly api: Api;
  readonly developer: Developer;
  readonly output: TextOutput;
  readonly paint: Paint;
  readonly signal: AbortSignal;
}

/** How long a pushed commit may take to become a run. */
const RUN_BEGINS_WITHIN_MS = 30_000;

const say = ({ output, paint }: Story, title: string, text: string): void =>
  output.write(`\n${paint.bold(paint.cyan(title))}\n${text}\n\n`);

const showPush = ({ output, paint }: Story, { output: text }: Pushed): void => {
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) output.write(`  ${paint.dim(line)}\n`);
  output.write('\n');
};

/** The run that a pushed commit started: told by the hook, so it is there soon. */
const findRun = async ({ api, signal }: Story, sha: string): Promise<string> => {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(RUN_BEGINS_WITHIN_MS)]);
  const look = async (): Promise<string | undefined> => (await api.listRuns({ limit: 20 })).rows.find((run) => run.sha === sha)?.id;
  const changes = api.follow({ signal: deadline })[Symbol.asyncIterator]();
  for (;;) {
    const next = changes.next();
    const found = await look();
    if (found !== undefined) return found;
    await next;
    if (deadline.aborted) throw new Error(`commit ${sha} started no run: ${JSON.stringify((await api.listEvents({ limit: 3 })).rows)}`);
  }
};

const watch = async (story: Story, runId: string, promotedRing?: string): Promise<RunDetail> => {
  const { api, output, paint, signal } = story;
  const { detail } = await watchRun(api, runId, output, { paint, signal, ...(promotedRing === undefined ? {} : { promotedRing }) });
  return detail;
};

const check = async (story: Story, expected: readonly Expectation[]): Promise<void> => {
  const hosts = await story.api.listHosts({ app: 'shop' });
  story.output.write('\n');
  showHosts(story.output, hosts, story.paint);
  expectHosts(hosts, expected);
};

const expectRun = ({ run }: RunDetail, expected: string): void => {
  const found = run.outcome ?? `waiting for ${run.waitingFor ?? 'nothing'}`;
  if (found !== expected) throw new Error(`run ${run.id} is ${found} (${run.reason ?? ''}), expected ${expected}`);
};

const versionOf = ({ run }: RunDetail): string => {
  if (run.version === null) throw new Error(`run ${run.id} has no version`);
  return run.version;
};

/** The main job: one commit goes the whole way, two are stopped. */
export const tellStory = async (story: Story): Promise<void> => {
  const { api, developer, edits } = story;

  say(
    story,
    '1. A commit is pushed',
    'A real git push. The repository’s hook tells pipit; the run builds, packages and publishes it, and the two canary hosts get it.',
  );
  const first = await developer.pushFirst();
  showPush(story, first);
  const opened = await watch(story, await findRun(story, first.sha));
  expectRun(opened, 'waiting for promotion');
  const good = versionOf(opened);
  await check(story, [
    { ring: 'canary', version: good },
    { ring: 'production', version: null },
  ]);

  say(
    story,
    '2. The canary is well, so it is promoted',
    'There is nothing to choose: production can only get the bytes that the canary runs.',
  );
  const promoted = await api.promote({ app: 'shop', ifCanary: good, reason: 'the canary is well' });
  expectRun(await watch(story, promoted.runId, promoted.ring), 'succeeded');
  await check(story, [
    { ring: 'canary', version: good },
    { ring: 'production', version: good },
  ]);

  say(story, '3. A commit whose script/cibuild fails', 'The tax is added to every price, and a test notices.');
  const wrong = await developer.push('Add the tax', edits.breakTest.file, edits.breakTest.change);
  showPush(story, wrong);
  expectRun(await watch(story, await findRun(story, wrong.sha)), 'failed');
  await check(story, [
    { ring: 'canary', version: good },
    { ring: 'production', version: good },
  ]);

  say(
    story,
    '4. A commit whose service does not start on a host',
    'The tests pass: the new file lies on the developer’s machine only. The canary notices, and goes back.',
  );
  await developer.change(edits.mendTest.file, edits.mendTest.change);
  const { file, change } = edits.breakService;
  const broken = await developer.push('Take the tax out, read the prices from a file', file, change);
  showPush(story, broken);
  expectRun(await watch(story, await findRun(story, broken.sha)), 'rolled-back');
  await check(story, [
    { ring: 'canary', version: good },
    { ring: 'production', version: good },
  ]);
};
