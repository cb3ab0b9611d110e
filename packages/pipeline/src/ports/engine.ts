import type { Json } from '@pipit/core';

/** What an operation's code gets from the engine. */
export interface EngineContext {
  /**
   * Runs `work` once and records what it returns; after a restart the recorded value is returned without running it. A crash inside runs it again,
   * so work finds out first what already happened. Steps are identified by their order and name: never call it concurrently, and never let
   * anything that is not recorded decide whether or in which order steps run. `work` does not throw, save {@link OperationInterrupted}.
   */
  step<T extends Json>(name: string, work: () => Promise<T>): Promise<T>;
}

export interface OperationCode {
  readonly type: string;
  /** A released version's code stays until no unfinished operation has it. */
  readonly version: number;
  /** Deterministic between steps. It records its own end in a step and does not throw, save {@link OperationInterrupted}. */
  run(id: string, input: Json, context: EngineContext): Promise<void>;
}

/** Thrown through a step and an operation while pipit stops: the engine records neither, and the operation goes on after the next start. */
export class OperationInterrupted extends Error {
  override readonly name = 'OperationInterrupted';
}

/**
 * - `unknown`: never submitted.
 * - `unfinished`: submitted; some replica runs it, or will after a restart or takeover.
 * - `finished`: its code returned.
 * - `broken`: the engine gave it up (its code threw, or no longer fits what is recorded). Says why.
 */
export type EngineState = { readonly state: 'unknown' | 'unfinished' | 'finished' } | { readonly state: 'broken'; readonly reason: string };

/** Executes operations durably, over any number of replicas. */
export interface Engine {
  /** Begins to execute, recovering what a former process left. */
  start(codes: readonly OperationCode[]): Promise<void>;
  /** Starting twice with one id is starting once. Returns when it is durable, not when it ended. */
  submit(operation: { readonly id: string; readonly type: string; readonly version: number; readonly input: Json }): Promise<void>;
  inspect(id: string): Promise<EngineState>;
  /** Called by the sweep, every second or so: takes over what a dead replica left and re-dispatches what nobody executes. Cheap when there is nothing. */
  sweep(): Promise<void>;
  /** No further step begins; waits for steps under way until the deadline, then leaves them unrecorded. */
  stop(deadlineMs: number): Promise<void>;
}
