import { type DetachedOptions, startDetached } from '../../src/index.js';

// Starts a task and never ends by itself: the test kills it. The argument is what the test wrote.
process.stdout.write('ready\n');
await startDetached(JSON.parse(process.argv[2] ?? '') as DetachedOptions);
process.stdout.write('started\n');
setInterval(() => undefined, 60_000);
