import type { Call } from '../context/call.js';
import type { ChangeEvent, RepositoryRef } from '../domain/change-event.js';
import type { Credentials } from '../domain/credentials.js';
import type { Cursor } from './task.js';

/** Tells pipit of pushes: by {@link Lifecycle.receive}, by poll, or both. */
export interface Trigger {
  /**
   * Pushes since the cursor; the same ones when it is asked again with it. Without a cursor it only says where to begin: history starts nothing.
   * Pipit stores events and cursor in one transaction.
   */
  poll?(after: Cursor | undefined, call: Call): Promise<{ readonly events: readonly ChangeEvent[]; readonly cursor: Cursor }>;
  /** The repository of a name, before anything was pushed to it: for `pipit plan`. Undefined: this trigger does not know it. */
  findRepository?(name: string, call: Call): Promise<RepositoryRef | undefined>;
  /** How pipit itself reads the repository; absent: without a credential. */
  access?(repository: RepositoryRef, call: Call): Promise<Credentials | undefined>;
}
