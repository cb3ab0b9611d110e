import type { Call } from '../context/call.js';
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

/** The audit trail as it stood: kept elsewhere, it shows that the trail was cut or rewritten later. */
export interface AuditHead {
  /** Of the last line. */
  readonly sequence: number;
  /** Of the last line: sha256, hexadecimal. */
  readonly hash: string;
  /** ISO 8601. */
  readonly at: string;
  readonly keyId: string;
  /** ed25519, base64. */
  readonly signature: string;
}

/** Tells people: chat, mail, commit statuses. */
export interface Notifier<Options> {
  /** Returns what to hand back as `previous`, to update in place. */
  notify(
    request: { readonly notice: Notice; readonly previous?: Handle; readonly replyTo?: Handle; readonly options: Options },
    op: Op,
  ): Promise<Handle | undefined>;
  /** Keeps a signed head of the audit trail where pipit cannot take it back. Sent at least once. */
  reportAuditHead?(request: { readonly head: AuditHead; readonly options: Options }, call: Call): Promise<void>;
}
