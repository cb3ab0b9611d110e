// One life of the pipit of rollout.mjs: rolls out to many simulated hosts, may be killed at the end of the last one, and replays it in its next life.
import { setTimeout as sleep } from 'node:timers/promises';
import { answerMessages, childData } from './support/child.mjs';
import { createNoopPlugins, hostOf, startSimulatedPipit } from './support/simulated-pipit.mjs';

const { url, hosts: count, longestMs } = childData();
const importedAt = performance.now();
const hosts = Array.from({ length: count }, (_, index) => hostOf(`host${String(index + 1).padStart(5, '0')}`));
/** From 0 up to the longest, the same for a host each time: all that could be made faster is pipit's own. */
const takesMs = (index) => (index * 7919) % (longestMs + 1);

/** Milliseconds that pipit waited for hosts, from the first told to the last done. */
let hostMs = 0;
let killAtFinish = false;
let steps = {};
const since = {};
let replay;

/** Hosts that work in parallel, each for its own time; a batch under way answers with what is done so far. */
const createDeployer = ({ installOn, observe }) => {
  const batches = new Map();
  return {
    formats: ['deb'],
    find: async (_request, op) => (batches.has(op.key) ? op.key : undefined),
    start: async (request, op) => {
      const done = [];
      const from = performance.now();
      const work = Promise.all(
        request.hosts.map(async (host, index) => {
          await sleep(takesMs(index));
          done.push(installOn(request, host));
        }),
      ).then(() => {
        hostMs += performance.now() - from;
      });
      batches.set(op.key, { done, work });
      return op.key;
    },
    inspect: async ({ handle, request }) => {
      const { done } = batches.get(handle);
      return done.length === request.hosts.length ? { state: 'ended', result: done } : { state: 'running', partial: [...done] };
    },
    observe: async (request) => {
      const from = performance.now();
      const reports = await observe(request);
      await sleep(longestMs);
      hostMs += performance.now() - from;
      return reports;
    },
  };
};

const pipit = await startSimulatedPipit({
  url,
  rings: ['production'],
  plugins: createNoopPlugins({ hosts: () => hosts, deployer: createDeployer }),
  observer: {
    onStep: ({ operationId, step, phase }) => {
      if (!operationId.includes(':rollout:')) return;
      const now = performance.now();
      if (phase === 'before') {
        since[step] = now;
        if (step === 'finish' && killAtFinish) process.kill(process.pid, 'SIGKILL');
        if (step === 'plan') replay = { from: now };
      }
      if (phase === 'after') {
        steps[step] = now - since[step];
        if (step === 'finish') replay = { ...replay, to: now };
      }
    },
  },
});

answerMessages(async ({ type, number }) => {
  switch (type) {
    case 'deliver': {
      hostMs = 0;
      steps = {};
      await pipit.deliver('fleet', number);
      const rolloutMs = Object.values(steps).reduce((sum, each) => sum + each, 0);
      return { rolloutMs, hostMs, steps };
    }
    case 'deliver-and-die':
      killAtFinish = true;
      return pipit.deliver('fleet', number);
    default: {
      while (replay?.to === undefined) await sleep(5);
      return { replayMs: replay.to - replay.from, sinceStartMs: replay.to - pipit.startedAt, sinceImportMs: replay.to - importedAt };
    }
  }
}, pipit.stop);
