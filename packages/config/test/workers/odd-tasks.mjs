// Does what it is sent: answers, never ends, eats memory, throws, or exits.
import { parentPort } from 'node:worker_threads';

const eaten = [];
parentPort.on('message', (task) => {
  while (task === 'spin');
  while (task === 'eat') eaten.push(new Array(100_000).fill({}));
  if (task === 'throw') throw new Error('thrown in the thread');
  if (task === 'exit') process.exit(3);
  if (task !== 'wait') parentPort.postMessage(`done ${task}`);
});
