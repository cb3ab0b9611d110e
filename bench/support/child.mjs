import { fork } from 'node:child_process';

/** A module in a process of its own, that answers messages: see `answerMessages`. */
export const startChild = (file, data = {}) => {
  const child = fork(new URL(`../${file}`, import.meta.url), [JSON.stringify(data)], { serialization: 'advanced' });
  const waiting = [];
  const exited = new Promise((resolve) => child.on('exit', resolve));
  child.on('message', (answer) => waiting.shift()?.resolve(answer));
  exited.then((code) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`${file} ended with ${code}`));
  });
  return {
    pid: child.pid,
    exited,
    ask: (message) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        child.send(message);
      }),
    stop: async () => {
      if (child.connected) child.send({ type: 'stop' });
      await exited;
    },
  };
};

/** The child's side: one answer a message, in order; `stop` ends it. */
export const answerMessages = (answer, stop = async () => {}) => {
  let last = Promise.resolve();
  process.on('message', (message) => {
    last = last.then(async () => {
      if (message.type === 'stop') {
        await stop();
        process.exit(0);
      }
      process.send(await answer(message));
    });
    last.catch((error) => {
      console.error(error);
      process.exit(1);
    });
  });
};

export const childData = () => JSON.parse(process.argv[2] ?? '{}');
