import type { Op } from '../context/operation-call.js';
import type { Commit } from '../domain/change-event.js';
import type { Handle } from './task.js';

export type NoticeState = 'running' | 'waiting' | 'done' | 'failed' | 'rolledBack';

export interface Notice {
  readonly subject: string;
  readonly state: NoticeState;
  readonly title: string;
  readonly text: string;
  readonly url?: string;
  readonly commit?: Commit;
  readonly actions: readonly ('promote' | 'rollback' | 'approve')[];
}

/** Tells people: chat, mail, commit statuses. */
export interface Notifier<Options> {
  /** Returns what to hand back as `previous`, to update in place. */
  notify(
    request: { readonly notice: Notice; readonly previous?: Handle; readonly replyTo?: Handle; readonly options: Options },
    op: Op,
  ): Promise<Handle | undefined>;
}
