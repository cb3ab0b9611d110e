import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Parts of paths of the files that take minutes, the longest first: begun last, each would keep one worker busy while the other has nothing left. */
const LONG = [
  'end-to-end-tests/test/kill-walk',
  'examples/showcase/test/',
  'end-to-end-tests/',
  'plugins/local/test/',
  'plugins/ssh/test/',
  'engine-dbos/test/',
] as const;

const placeOf = ({ moduleId }: TestSpecification): number => {
  const place = LONG.findIndex((part) => moduleId.includes(part));
  return place === -1 ? LONG.length : place;
};

/** Begins the files that take longest first; the others follow in vitest's own order. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return [...sorted].sort((one, other) => placeOf(one) - placeOf(other));
  }
}
