import { describe } from 'vitest';
import { discoveryChecks, testDiscovery } from '../src/index.js';
import { expectSuiteSees } from './subjects/expect-suite.js';
import { memoryDiscoveryHarness } from './subjects/memory-registry.js';

testDiscovery('a registry in memory', memoryDiscoveryHarness());

describe('the suite for discovery', () => {
  expectSuiteSees({
    checks: discoveryChecks(),
    harness: memoryDiscoveryHarness,
    faults: {
      'leaves out the unavailable': 'lists all members, the unavailable ones too',
      'gives no reason': 'says of each unavailable member why',
      'lists a host twice': 'gives hosts that pipit can store, each once, with an address that can be reached',
      'answers another order each time': 'gives the same answer each time, in a fresh instance too',
      'throws where there is nobody': 'answers with no hosts where there are none, and not with an error',
      'answers from a cache': 'sees a member that was added from outside',
      'never wakes': 'answers a held question when the members change',
      'holds beyond the deadline': 'ends a held question at the deadline',
      'holds although it is aborted': 'ends a held question promptly when its signal is aborted',
    },
  });
});
