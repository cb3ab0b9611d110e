import { describe } from 'vitest';
import { packagerChecks, testPackager } from '../src/index.js';
import { expectSuiteSees } from './subjects/expect-suite.js';
import { memoryPackagerHarness } from './subjects/memory-packager.js';

testPackager('a packager in memory', memoryPackagerHarness());

describe('the suite for packager', () => {
  expectSuiteSees({
    checks: packagerChecks(),
    harness: memoryPackagerHarness,
    faults: {
      'gives another version': 'makes artifacts of its formats, with the name and version that were asked for',
      'makes two of a kind': 'makes at most one artifact a format and architecture',
      'leaves no bytes': 'leaves the bytes in the file store, under the digest that a host will check',
      'stamps the time': 'makes the same bytes twice, in another folder and a fresh instance',
      'throws any error': 'refuses what cannot be packaged, in words, and for good',
      'goes on although it is aborted': 'ends with an error when its signal is aborted already',
    },
  });
});
