import type { Config, Slot } from '@pipit/config';
import type { Logger } from '@pipit/core';
import type { AuditHeadRow } from '@pipit/pipeline';
import { createCall } from '../effects.js';
import { systemClock } from '../machine/system-clock.js';
import type { Instances } from '../plugins/instances.js';
import type { HeadSigner } from './head-signer.js';

const REPORT_DEADLINE_MS = 30_000;
const LAST_SIGN_MS = 5_000;

export interface AuditHeads {
  /** Begins to sign at an interval. */
  start(): void;
  /** Signs once more, and ends. */
  stop(): Promise<void>;
  findFault(): Promise<string | undefined>;
}

/** Signs heads at an interval while the trail grows, and sends each to the log and to every notifier that keeps heads: copies that outlive the database. */
export const createAuditHeads = (ports: {
  readonly signer: HeadSigner;
  readonly config: Config;
  readonly instances: Instances;
  readonly logger: Logger;
  readonly stopping: AbortSignal;
}): AuditHeads => {
  const { signer, config, instances, logger, stopping } = ports;
  let timer: NodeJS.Timeout | undefined;
  let last: Promise<void> = Promise.resolve();
  let reported: string | undefined;

  /** One slot an instance: the first that names it. */
  const slots = (): readonly Slot[] => {
    const byInstance = new Map<string, Slot>();
    for (const pipeline of Object.values(config.pipelines))
      for (const slot of pipeline.notify) if (!byInstance.has(slot.use)) byInstance.set(slot.use, slot);
    return [...byInstance.values()];
  };

  const report = async ({ sequence, hash, at, keyId, signature }: AuditHeadRow): Promise<void> => {
    const head = { sequence, hash, at, keyId, signature };
    logger.info(head, 'Audit head');
    for (const slot of slots()) {
      const notifier = instances.get(slot.use)?.notifier;
      if (notifier?.reportAuditHead === undefined) continue;
      await notifier
        .reportAuditHead({ head, options: slot.options }, createCall(logger, stopping, REPORT_DEADLINE_MS))
        .catch((error: unknown) => logger.warn({ instance: slot.use, error }, 'Audit head not delivered'));
    }
  };

  const signOnce = async (): Promise<void> => {
    try {
      const head = await signer.sign();
      if (head !== undefined) return await report(head);
      const fault = await signer.findFault();
      if (fault !== undefined && fault !== reported)
        logger.error({ fault }, 'The audit trail is not what it was; it is not signed any more');
      reported = fault;
    } catch (error) {
      logger.warn({ error }, 'Audit head not signed');
    }
  };
  const sign = (): Promise<void> => {
    last = last.then(signOnce);
    return last;
  };

  return {
    start: () => {
      void sign();
      timer = setInterval(() => void sign(), config.audit.every);
      timer.unref();
    },
    stop: async () => {
      if (timer === undefined) return;
      clearInterval(timer);
      timer = undefined;
      // Without its database pipit still ends soon.
      const ended = new AbortController();
      await Promise.race([sign(), systemClock.sleep(LAST_SIGN_MS, ended.signal)]);
      ended.abort();
    },
    findFault: () => signer.findFault(),
  };
};
