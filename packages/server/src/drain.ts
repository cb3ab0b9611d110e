import { HttpError } from './http-error.js';

/** Whether the server takes new work. Once draining, it stays so. */
export interface Drain {
  isDraining(): boolean;
  begin(): void;
  /** Aborted when draining begins: live streams end by it. */
  readonly signal: AbortSignal;
  /** Throws `SERVER_DRAINING` while draining. */
  refuseIfDraining(): void;
}

export const createDrain = (): Drain => {
  const controller = new AbortController();
  return {
    isDraining: () => controller.signal.aborted,
    begin: () => controller.abort(),
    signal: controller.signal,
    refuseIfDraining: () => {
      if (!controller.signal.aborted) return;
      throw new HttpError({
        status: 503,
        code: 'SERVER_DRAINING',
        message: 'This server is being stopped and takes nothing new',
        hint: 'Send it again: another replica, or this one after its restart, takes it.',
        headers: { 'retry-after': '5' },
      });
    },
  };
};
