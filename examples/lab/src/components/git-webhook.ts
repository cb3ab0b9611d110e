import { createHmac, randomUUID } from 'node:crypto';

/** GitHub closes a delivery after 10 s. */
const DELIVERY_MS = 10_000;

/** Where a repository's events go, as a webhook of GitHub's settings page has it. */
export interface GitHook {
  readonly url: string;
  readonly secret: string;
}

/** One event told to one hook. */
export interface GitDelivery {
  /** `X-GitHub-Delivery`: the same when it is told again. */
  readonly id: string;
  readonly event: string;
  readonly fullName: string;
  readonly hook: GitHook;
  readonly body: string;
  /** Status codes of the answers so far; 0 where none came within 10 s. */
  readonly answers: readonly number[];
}

/** Tells a hook of an event once, signed as GitHub signs. GitHub does not try again by itself, and neither does this. */
const tell = async ({ id, event, hook, body }: GitDelivery): Promise<number> => {
  const sign = (algorithm: string) => createHmac(algorithm, hook.secret).update(body).digest('hex');
  try {
    const answer = await fetch(hook.url, {
      method: 'POST',
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(DELIVERY_MS),
      headers: {
        'content-type': 'application/json',
        'user-agent': 'GitHub-Hookshot/lab',
        'x-github-event': event,
        'x-github-delivery': id,
        'x-github-hook-installation-target-type': 'repository',
        'x-hub-signature': `sha1=${sign('sha1')}`,
        'x-hub-signature-256': `sha256=${sign('sha256')}`,
      },
    });
    await answer.arrayBuffer();
    return answer.status;
  } catch {
    return 0;
  }
};

/** Keeps what was told to the hooks, so that it can be told again. */
export const createDeliveries = () => {
  const deliveries = new Map<string, GitDelivery>();
  const send = async (delivery: GitDelivery): Promise<GitDelivery> => {
    const status = await tell(delivery);
    const told = { ...delivery, answers: [...(deliveries.get(delivery.id)?.answers ?? []), status] };
    deliveries.set(told.id, told);
    return told;
  };
  return {
    list: (): readonly GitDelivery[] => [...deliveries.values()],
    deliver: (event: string, fullName: string, hook: GitHook, payload: unknown): Promise<GitDelivery> => {
      const delivery = { id: randomUUID(), event, fullName, hook, body: JSON.stringify(payload), answers: [] };
      deliveries.set(delivery.id, delivery);
      return send(delivery);
    },
    /** Tells an earlier delivery again, with the same id and bytes. */
    redeliver: async (id: string): Promise<GitDelivery> => {
      const delivery = deliveries.get(id);
      if (delivery === undefined) throw new Error(`No delivery has the id ${id}`);
      return send(delivery);
    },
  };
};
