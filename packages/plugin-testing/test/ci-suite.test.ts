import { describe } from 'vitest';
import { ciChecks, testCi } from '../src/index.js';
import { expectSuiteSees } from './subjects/expect-suite.js';
import { memoryCiHarness } from './subjects/memory-ci.js';

testCi('a CI in memory', memoryCiHarness());

describe('the suite for ci', () => {
  expectSuiteSees({
    checks: ciChecks(),
    harness: memoryCiHarness,
    faults: {
      'finds without a start': 'finds nothing before the start',
      'keeps builds in the instance': 'starts with a handle that a fresh instance brings to a good end',
      'gives an empty handle': 'starts with a handle that a fresh instance brings to a good end',
      'passes another commit': 'starts with a handle that a fresh instance brings to a good end',
      'answers with a date': 'starts with a handle that a fresh instance brings to a good end',
      'starts again when it is asked to find':
        'finds in a fresh instance what was started, at once and after its end, without a second effect',
      'answers another word each time': 'gives the same end each time it is asked',
      'throws when the build fails': 'ends a bad request as a result and not as an error',
      'finds an ended try by its commit': "does not find an ended try for a person's retry, which raises the key's last part",
      'starts although it is aborted': 'starts nothing when its signal is aborted already',
      'holds although it is aborted': 'ends an inspection promptly when its signal is aborted',
      'takes any handle for a running build': 'says that a forgotten handle is lost',
      'repeats the log for ever': 'reads the log by a cursor that works in a fresh instance, and nothing twice',
      'cannot cancel twice': 'cancels without harm, also twice and after the end',
      'collects other bytes each time': 'collects the outputs of the build into the file store, the same each time',
    },
  });
});
