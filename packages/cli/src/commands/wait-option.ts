import type { Api } from '@pipit/runtime';
import { type Watched, watchRun } from '../render/watch-run.js';
import type { Session } from '../session.js';

export interface WaitOptions {
  /** Draw it; else only wait. */
  readonly isShown: boolean;
  readonly promotedRing?: string;
  /** One line of JSON for each look, with `--json`. */
  readonly isStreamed?: boolean;
}

/** Waits until a run ends or waits for a promotion, and shows it on the way unless the answer is JSON. */
export const waitForRun = (
  session: Session,
  api: Api,
  runId: string,
  { isShown, promotedRing, isStreamed = false }: WaitOptions,
): Promise<Watched> => {
  const { world, paint, signal, options } = session;
  const isJson = options.json === true;
  return watchRun(api, runId, world.stdout, {
    signal,
    paint,
    now: () => world.now(),
    ...(promotedRing === undefined ? {} : { promotedRing }),
    ...(isShown && !isJson ? {} : { onDetail: (detail) => void (isJson && isStreamed && session.print(JSON.stringify(detail))) }),
  });
};
