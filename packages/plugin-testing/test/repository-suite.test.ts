import { describe } from 'vitest';
import { repositoryChecks, testRepository } from '../src/index.js';
import { expectSuiteSees } from './subjects/expect-suite.js';
import { memoryRepositoryHarness } from './subjects/memory-repository.js';

testRepository('a repository in memory', memoryRepositoryHarness());

describe('the suite for repository', () => {
  expectSuiteSees({
    checks: repositoryChecks(),
    harness: memoryRepositoryHarness,
    faults: {
      'finds what was never published': 'finds nothing before it is published',
      'finds a digest of its own': 'finds in a fresh instance what was published, with the digests that hosts read',
      'publishes twice': 'publishes the same artifacts twice without harm',
      'takes other bytes': 'refuses other bytes under a published name, version and architecture, and keeps the first',
      'keeps one version': 'keeps a version when another is published',
      'shows at once': 'shows what is published to no ring until it is offered',
      'shows every version': 'offers exactly one version to a ring, also when repeated, also an older one',
      'has one view': 'offers to one ring without touching another',
      'offers what it has not': 'refuses to offer what was never published',
      'forgets a format': 'names one place to install from for each format, before anything is published too',
      'removes everything': 'removes what is asked and no more, also twice',
      'publishes although it is aborted': 'publishes nothing when its signal is aborted already',
    },
  });
});
