import type { Api, RunDetail } from '@pipit/runtime';

/** A machine that is busy with other tests is ten times slower than a quiet one. */
const WITHIN_MS = 400_000;

type Run = RunDetail['run'];

const isSettled = (run: Run): boolean => run.state === 'ended' || run.waitingFor === 'promotion';

/** The run of a commit, or of this id, once it waits for a person or has ended. Says what it was doing when that takes too long. */
export const waitForRun = async (
  api: Api,
  shaOrId: string,
  log: readonly string[],
  holds: (run: Run) => boolean = isSettled,
): Promise<RunDetail> => {
  const deadline = AbortSignal.timeout(WITHIN_MS);
  const find = async (): Promise<Run | undefined> =>
    (await api.listRuns({ limit: 20 })).rows.find((run) => run.sha === shaOrId || run.id === shaOrId);
  const changes = api.follow({ signal: deadline })[Symbol.asyncIterator]();
  for (;;) {
    const next = changes.next();
    const run = await find();
    if (run !== undefined && holds(run)) return api.showRun(run.id);
    await next;
    if (deadline.aborted) {
      const detail = run === undefined ? undefined : await api.showRun(run.id);
      const events = (await api.listEvents({ limit: 5 })).rows;
      throw new Error(`${shaOrId} did not get there: ${JSON.stringify(detail ?? events, null, 1)}\n${log.slice(-20).join('')}`);
    }
  }
};
