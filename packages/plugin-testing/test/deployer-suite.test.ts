import { describe } from 'vitest';
import { deployerChecks, testDeployer } from '../src/index.js';
import { expectSuiteSees } from './subjects/expect-suite.js';
import { memoryDeployerHarness } from './subjects/memory-deployer.js';

testDeployer('hosts in memory', memoryDeployerHarness());

describe('the suite for deployer', () => {
  expectSuiteSees({
    checks: deployerChecks(),
    harness: memoryDeployerHarness,
    faults: {
      'finds without a start': 'finds nothing before the start',
      'keeps rollouts in the instance': 'starts with a handle that a fresh instance brings to a good end',
      'leaves the digest out': 'starts with a handle that a fresh instance brings to a good end',
      'starts again when it is asked to find':
        'finds in a fresh instance what was started, at once and after its end, without a second effect',
      'answers another word each time': 'gives the same end each time it is asked',
      'calls a broken host well': 'ends a bad request as a result and not as an error',
      'finds an ended try by its sequence': "does not find an ended try for a person's retry, which raises the key's last part",
      'starts although it is aborted': 'starts nothing when its signal is aborted already',
      'holds although it is aborted': 'ends an inspection promptly when its signal is aborted',
      'takes any handle for a running rollout': 'says that a forgotten handle is lost',
      'repeats the log for ever': 'reads the log by a cursor that works in a fresh instance, and nothing twice',
      'cannot cancel twice': 'cancels without harm, also twice and after the end',
      'has no format': 'names its formats',
      'believes in a receipt from nowhere': 'observes a host before its first install: reached, with nothing installed',
      'reports in another order': 'observes what it installed, in the order of the request, the same each time',
      'asks no health': 'observes the health that the request asks for',
      'takes an older sequence': 'refuses an older sequence on every host, and leaves what is installed',
      'checks no digest': "refuses bytes without the release's digest, and leaves what is installed",
      'stops at what a neighbour left': "installs, also again, beside another app's package that was left half-way",
      'stops at a dead host': 'installs on the others when one host cannot be reached, and says which',
    },
  });
});
