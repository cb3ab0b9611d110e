// Evaluates a `when:` that has a regular expression, over an event that anybody who may push has a say in, in a thread that a watcher ends.
import { parentPort } from 'node:worker_threads';
import { Environment } from '@marcbachmann/cel-js';

const evaluate = ({ expression, fields, event }) => {
  try {
    const environment = new Environment({ unlistedVariablesAreDyn: false }).registerVariable({ name: 'event', schema: fields });
    return { matches: environment.parse(expression)({ event }) === true };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error) };
  }
};

parentPort.on('message', (task) => parentPort.postMessage(evaluate(task)));
