const marker = Symbol.for('pipit.plugin-error');

/**
 * What may be done after an error.
 *
 * - `retry`: nothing happened; the same call may be made again.
 * - `reconcile`: it may have happened; pipit calls `find` (or reads back) before it tries again.
 * - `stop`: trying again cannot help; a person has to act.
 */
export type Recovery = 'retry' | 'reconcile' | 'stop';

export interface PluginErrorOptions {
  /** Stable and upper case, for example `JENKINS_JOB_NOT_FOUND`. Each code is documented in docs/reference/errors/. */
  readonly code: string;
  /** The fact, in one sentence: what, where. */
  readonly message: string;
  /** The next action for the person who reads it. */
  readonly hint?: string;
  readonly recovery: Recovery;
  readonly cause?: unknown;
}

/** The only error a plugin throws on purpose. Anything else thrown from an effect is treated as `reconcile`. */
export class PluginError extends Error {
  override readonly name: string = 'PluginError';
  readonly code: string;
  readonly hint: string | undefined;
  readonly recovery: Recovery;

  constructor(options: PluginErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.hint = options.hint;
    this.recovery = options.recovery;
    Object.defineProperty(this, marker, { value: true });
  }
}

/** Recognises a {@link PluginError} by its marker and not by `instanceof`: two copies of this package may be installed. */
export const isPluginError = (value: unknown): value is PluginError => typeof value === 'object' && value !== null && marker in value;

/** The recovery of anything thrown: an unknown throw means that the effect may have happened. */
export const recoveryOf = (thrown: unknown): Recovery => (isPluginError(thrown) ? thrown.recovery : 'reconcile');
