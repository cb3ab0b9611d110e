import type { Api, RunDetail } from '@pipit/runtime';

const refuse = (): never => {
  throw new Error('This test did not expect to be asked that');
};

/** An Api that answers what a test gives it, and nothing else. */
export const createFakeApi = (given: Partial<Api>): Api => ({
  listApps: refuse,
  listRuns: refuse,
  showRun: refuse,
  readLog: refuse,
  listReleases: refuse,
  listHosts: refuse,
  showEvent: refuse,
  listEvents: refuse,
  listAudit: refuse,
  listAuditHeads: refuse,
  plan: refuse,
  doctor: refuse,
  promote: refuse,
  rollback: refuse,
  cancel: refuse,
  retry: refuse,
  reconcile: refuse,
  listTokens: refuse,
  createToken: refuse,
  revokeToken: refuse,
  follow: async function* follow({ signal }) {
    await new Promise((resolve) => (signal.aborted ? resolve(undefined) : signal.addEventListener('abort', resolve)));
  },
  ...given,
});

/** A run that goes from one look to the next each time it is asked for; the last one stays. */
export const createRunPlayer = (looks: readonly RunDetail[]) => {
  let at = 0;
  const showRun = async (): Promise<RunDetail> => {
    const look = looks[Math.min(at, looks.length - 1)];
    at += 1;
    if (look === undefined) throw new Error('A run needs at least one look');
    return look;
  };
  return {
    showRun,
    // Says at once that there is more to see.
    follow: async function* follow({ signal }: { readonly signal: AbortSignal }) {
      for (let id = 1; id < looks.length && !signal.aborted; id += 1) {
        const seen = at;
        yield { id, runId: 'web-12' };
        while (at === seen && !signal.aborted) await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
};
