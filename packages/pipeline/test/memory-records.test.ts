import { createMemoryRecords } from '../src/index.js';
import { describeRecords } from './records-conformance.js';

describeRecords('in memory', async () => ({ records: createMemoryRecords() }));
