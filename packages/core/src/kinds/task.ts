import type { Op, Services } from '../context/operation-call.js';

/** Opaque; means the same in a fresh instance on another machine. At most 2,000 characters. */
export type Handle = string;
/** Opaque: a Consul index, an etcd revision, a hash of a file. */
export type Cursor = string;

export interface Started<Request> {
  readonly handle: Handle;
  readonly request: Request;
}

export type TaskState<Result> = {
  /** Where a person can look at it. */
  readonly url?: string;
} & (
  | {
      readonly state: 'running';
      /** A better handle (a queue item became a build); it replaces the stored one. */
      readonly handle?: Handle;
      readonly partial?: Result;
    }
  | { readonly state: 'ended'; readonly result: Result }
  /** It will never end: the vendor forgot it. Pipit decides whether to start again. */
  | { readonly state: 'lost'; readonly reason: string }
);

/** A long effect that outlives pipit: a build, a batch of installs. Pipit calls `find`, then `start` if that found nothing, then `inspect` until it ended. */
export interface Task<Request, Result, S extends keyof Services> {
  /**
   * Whether this request was started before, by its key or by what the vendor shows. A person's retry raises the key's `<try>`: it must not
   * find what an earlier try ended. Asked again it gives a handle of the same effect, running or ended.
   */
  find(request: Request, op: Op<S>): Promise<Handle | undefined>;
  /** Starts nothing when the signal is aborted already. */
  start(request: Request, op: Op<S>): Promise<Handle>;
  /**
   * Answers at once, or holds until something changed, but answers before the call's deadline: at it the signal is aborted and the call has
   * failed. Asking again is harmless, and an ended task gives the same result each time. A bad end is a result and not an error.
   */
  inspect(started: Started<Request>, op: Op<S>): Promise<TaskState<Result>>;
  /** Harmless when repeated, and after the end. The task then ends by itself: pipit goes on to inspect it. */
  cancel?(started: Started<Request>, op: Op<S>): Promise<void>;
  /** Log text from the cursor on (from the beginning without one). Empty text: nothing new yet. */
  readLog?(started: Started<Request>, after: Cursor | undefined, op: Op<S>): Promise<{ readonly text: string; readonly cursor: Cursor }>;
}
