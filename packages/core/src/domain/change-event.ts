import type { CommitSha, RefName } from '../identifiers.js';

export interface RepositoryRef {
  /** The provider's own id, which outlives a rename. For a plain git repository, its URL. An app is bound to it when first seen. */
  readonly id: string;
  /** For example `acme/web`. Its last segment is the app's name by convention. */
  readonly name: string;
  /** What `git fetch` takes. It never holds a credential: see {@link Trigger.access}. */
  readonly url: string;
}

export interface Commit {
  readonly repository: RepositoryRef;
  readonly sha: CommitSha;
  /** Committer date, ISO 8601 in UTC. */
  readonly committedAt: string;
}

/** A push, as a trigger tells it. */
export interface ChangeEvent {
  /**
   * The same when this push is reported again by the same sender, and another for each other push, also for the same move of the ref at a later time.
   * It comes from what the sender signs: an id within the signed body, or a hash of it. An id beside it could be changed by anyone who
   * has seen one delivery. At most 200 characters.
   */
  readonly key: string;
  /** The provider's own id of this delivery, for people who look for it there. Shown, never trusted. At most 200 characters. */
  readonly delivery?: string;
  readonly repository: RepositoryRef;
  readonly ref: RefName;
  /** The ref's new commit; `null` when the ref was deleted. */
  readonly sha: CommitSha | null;
  /** The ref's commit before; absent when the ref is new or the teller does not know. */
  readonly before?: CommitSha;
  /** Whoever pushed, as the provider names them. Shown, never trusted. */
  readonly author?: string;
}
