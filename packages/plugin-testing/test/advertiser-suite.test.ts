import { describe } from 'vitest';
import { advertiserChecks, testAdvertiser } from '../src/index.js';
import { expectSuiteSees } from './subjects/expect-suite.js';
import { memoryAdvertiserHarness } from './subjects/memory-registry.js';

testAdvertiser('advertised versions in memory', memoryAdvertiserHarness());

describe('the suite for advertiser', () => {
  expectSuiteSees({
    checks: advertiserChecks(),
    harness: memoryAdvertiserHarness,
    faults: {
      'advertises from the start': 'reads nothing, but a cursor, where nothing was advertised',
      'loses the artifacts': 'reads in a fresh instance exactly what was written',
      'never replaces': 'replaces what was advertised, given the cursor of the read before',
      'ignores the cursor': 'answers a stale cursor with a conflict, and changes nothing',
      'takes the same again': 'answers with a conflict when the same thing is written twice with one cursor',
      'compares before it waits': 'lets exactly one of several writers through',
      'has one ring': 'writes one ring without touching another, nor its cursor',
      'forgets the plain version': 'keeps the plain version string equal to the document',
      'holds although it is aborted': 'ends a held read promptly when its signal is aborted',
      'never wakes': 'ends a held read when something was written',
      'writes although it is aborted': 'writes nothing when its signal is aborted already',
    },
  });
});
