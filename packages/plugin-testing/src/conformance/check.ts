import { describe, it } from 'vitest';

/** One promise of an interface, tried on a harness. It throws when the promise is broken. */
export interface Check<Harness> {
  /** States the behaviour, for example `publishes the same artifacts twice without harm`. */
  readonly name: string;
  run(harness: Harness): Promise<void>;
}

/** Thrown by a check of an ability that the subject does not have. */
class NotApplicable extends Error {}

/** Ends a check that does not concern this subject; its test shows as skipped, with the reason. */
export const notApplicable = (reason: string): never => {
  throw new NotApplicable(reason);
};

/** Something that holds processes, servers or folders while one check runs. */
export interface World {
  /** Ends and removes all that this world made. */
  close?(): Promise<void>;
}

/** Runs one check in a world of its own, and closes it on every path. */
export const inWorld =
  <W extends World>(check: (world: W) => Promise<void>) =>
  async ({ open }: { open(): Promise<W> }): Promise<void> => {
    const world = await open();
    try {
      await check(world);
    } finally {
      await world.close?.();
    }
  };

export interface CheckResult {
  readonly name: string;
  readonly outcome: 'kept' | 'broken' | 'notApplicable';
  readonly error?: unknown;
}

/** Runs checks without a test runner, one after another. */
export const runChecks = async <Harness>(checks: readonly Check<Harness>[], harness: Harness): Promise<readonly CheckResult[]> => {
  const results: CheckResult[] = [];
  for (const { name, run } of checks) {
    try {
      await run(harness);
      results.push({ name, outcome: 'kept' });
    } catch (error) {
      results.push({ name, outcome: error instanceof NotApplicable ? 'notApplicable' : 'broken', error });
    }
  }
  return results;
};

/** Registers one vitest test a check. */
export const registerChecks = <Harness>(title: string, checks: readonly Check<Harness>[], harness: Harness): void => {
  describe(title, () => {
    for (const { name, run } of checks)
      it(name, async ({ skip }) => {
        try {
          await run(harness);
        } catch (error) {
          if (error instanceof NotApplicable) skip(error.message);
          throw error;
        }
      });
  });
};
