import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

interface Line {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why it failed or was skipped. */
  readonly note: string;
}

const firstLine = (errors: readonly { readonly message: string }[]): string => errors[0]?.message.split('\n')[0] ?? '';

const linesOf = (module: TestModule): readonly Line[] => {
  const tests = [...module.children.allTests()].map((test): Line => {
    const result = test.result();
    const name = `${module.relativeModuleId} > ${test.fullName}`;
    if (result.state === 'skipped') return { name, outcome: 'skipped', note: result.note ?? 'the test is marked so' };
    if (result.state === 'passed') return { name, outcome: 'passed', note: '' };
    return { name, outcome: 'failed', note: firstLine(result.errors ?? []) || result.state };
  });
  // A file that cannot be loaded has no tests, only errors.
  const errors = module.errors();
  return errors.length === 0 ? tests : [...tests, { name: module.relativeModuleId, outcome: 'failed', note: firstLine(errors) }];
};

/** Writes what became of every test, with the reason of each skip, to the file that PIPIT_TEST_SUMMARY names. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const file = process.env.PIPIT_TEST_SUMMARY;
    if (file === undefined) return;
    const outside = unhandled.map(
      (error): Line => ({ name: 'outside any test', outcome: 'failed', note: error.message.split('\n')[0] ?? '' }),
    );
    writeFileSync(file, JSON.stringify([...modules.flatMap(linesOf), ...outside]));
  }
}
