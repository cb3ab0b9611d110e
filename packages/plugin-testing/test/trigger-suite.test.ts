import { describe } from 'vitest';
import { testTrigger, triggerChecks } from '../src/index.js';
import { expectSuiteSees } from './subjects/expect-suite.js';
import { memoryTriggerHarness } from './subjects/memory-trigger.js';

testTrigger('pushes in memory', memoryTriggerHarness());

describe('the suite for trigger', () => {
  expectSuiteSees({
    checks: triggerChecks(),
    harness: memoryTriggerHarness,
    faults: {
      'has no way to tell': 'has a way to tell: a hook or a poll',
      'tells nothing of a push': 'turns a push into one change event',
      'makes a key each time': 'gives a redelivery the same key, in a fresh instance too',
      'takes an unsigned id for the key': 'gives a signed body one key, whatever is changed beside it',
      'says nothing of a refusal': 'refuses each bad request with a code, a status and a sentence',
      'believes the body': 'refuses a body that was changed by one byte',
      'reads a file to verify': 'reaches no file, network or process while it verifies',
      'tells again behind the cursor': 'polls a push once its cursor stands before it, and no more once it stands behind',
      'tells a push once only': 'polls the same events again with the same cursor',
      'polls although it is aborted': 'ends a poll promptly when its signal is aborted already',
      'prints its password': 'gives pipit a way to read the repository that is never printed',
    },
  });
});
