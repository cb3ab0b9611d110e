import { expect, it } from 'vitest';
import { type Check, runChecks } from '../../src/index.js';

interface Suite<Harness, Fault extends string> {
  readonly checks: readonly Check<NoInfer<Harness>>[];
  /** A harness over the in-memory subject, with one fault built in. */
  readonly harness: (fault?: Fault) => Harness;
  /** Each fault with the check that has to see it. */
  readonly faults: Readonly<Record<Fault, string>>;
}

/** Registers tests that show that a suite can fail: every fault is seen by the check that should, and every check sees a fault. */
export const expectSuiteSees = <Harness, Fault extends string>({ checks, harness, faults }: Suite<Harness, Fault>): void => {
  // Object.keys forgets the names of the record it is given.
  it.each(Object.keys(faults) as Fault[])('sees the fault: %s', async (fault) => {
    const [result, ...others] = await runChecks(
      checks.filter((check) => check.name === faults[fault]),
      harness(fault),
    );
    expect(others).toEqual([]);
    expect(result).toMatchObject({ name: faults[fault], outcome: 'broken' });
  });

  it('has no check that cannot fail', () => {
    const seen = Object.values<string>(faults);
    expect(checks.map((check) => check.name).filter((name) => !seen.includes(name))).toEqual([]);
  });
};
