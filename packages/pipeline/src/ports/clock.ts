/** Time as the pipeline sees it; a test gives its own. */
export interface PipelineClock {
  now(): Date;
  /** Milliseconds that only grow, whatever is done to the machine's clock. They mean something within this process only. */
  monotonicMs(): number;
  /** Returns when the time is over, or at once when the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** Ids that sort by the time of their making. */
export interface IdSource {
  next(): string;
}
