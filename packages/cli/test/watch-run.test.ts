import { PluginError } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { watchRun } from '../src/render/watch-run.js';
import { createFakeApi, createRunPlayer } from './support/fake-api.js';
import { buildingRun, installingRun, NOW, rolledBackRun, succeededRun, waitingRun } from './support/sample-run.js';

const createOutput = (isLive = false) => {
  const pieces: string[] = [];
  return { write: (text: string) => void pieces.push(text), isLive, columns: 100, rows: 40, text: () => pieces.join('') };
};
const log = async () => ({
  operations: [
    {
      operationId: 'o',
      stage: 'rollout:canary',
      truncated: true,
      pieces: [{ sequence: 9, at: '', step: 'verify', text: 'GET /healthz\n500\u001b[2J\n' }],
    },
  ],
});
const now = () => NOW;

describe('watching a run', () => {
  it('ends when the run waits for a promotion, with exit code 4 and what to type', async () => {
    const output = createOutput();
    const api = createFakeApi(createRunPlayer([buildingRun, installingRun, waitingRun]));
    const watched = await watchRun(api, 'web-12', output, { now });
    expect(watched).toMatchObject({ result: 'waiting', exitCode: 4 });
    expect(output.text()).toContain('pipit promote web --ring production --if-canary');
    expect(output.text().match(/build start {2}done/g)).toHaveLength(1);
  });

  it('goes on over the wait of the promotion that was just given', async () => {
    const api = createFakeApi(createRunPlayer([waitingRun, waitingRun, succeededRun]));
    const watched = await watchRun(api, 'web-12', createOutput(), { now, promotedRing: 'production' });
    expect(watched).toMatchObject({ result: 'succeeded', exitCode: 0 });
  });

  it("prints the tail of the failed step's log, without what a terminal would obey", async () => {
    const output = createOutput();
    const asked: unknown[] = [];
    const api = createFakeApi({
      ...createRunPlayer([rolledBackRun]),
      readLog: (query) => {
        asked.push(query);
        return log();
      },
    });
    expect(await watchRun(api, 'web-12', output, { now })).toMatchObject({ result: 'rolled-back', exitCode: 3 });
    expect(asked).toEqual([{ runId: 'web-12', operationId: 'web-12:rollout:canary:1', step: 'verify' }]);
    expect(output.text()).toContain('Log of rollout:canary verify, its end:\n  GET /healthz\n  500\n');
    expect(output.text()).not.toContain('\u001b');
  });

  it('draws over on a terminal', async () => {
    const output = createOutput(true);
    await watchRun(createFakeApi(createRunPlayer([installingRun, waitingRun])), 'web-12', output, { now });
    expect(output.text()).toContain('\u001b[2K');
  });

  it('throws the reason when it is interrupted, and stops listening', async () => {
    const interruption = new AbortController();
    let isListening = false;
    const api = createFakeApi({
      showRun: async () => installingRun,
      follow: async function* follow({ signal }) {
        isListening = true;
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        isListening = false;
      },
    });
    const watching = watchRun(api, 'web-12', createOutput(), { now, signal: interruption.signal });
    interruption.abort(new Error('enough'));
    await expect(watching).rejects.toThrow('enough');
    expect(isListening).toBe(false);
  });

  it('waits out a server that restarts', async () => {
    let looks = 0;
    const api = createFakeApi({
      showRun: async () => {
        looks += 1;
        if (looks < 3) throw new PluginError({ code: 'SERVER_UNREACHABLE', message: 'no answer', recovery: 'retry' });
        return succeededRun;
      },
    });
    expect(await watchRun(api, 'web-12', createOutput(), { now, pollMs: 5 })).toMatchObject({ result: 'succeeded' });
  });

  it.each([
    ['what cannot pass', 'stop', NOW.getTime()],
    ['what lasts longer than its patience', 'retry', NOW.getTime() + 60_000],
  ] as const)('gives up on %s', async (_what, recovery, later) => {
    const api = createFakeApi({
      showRun: async () => {
        throw new PluginError({ code: 'RUN_UNKNOWN', message: 'no such run', recovery });
      },
    });
    let time = NOW.getTime();
    const clock = () => {
      const shown = new Date(time);
      time = later;
      return shown;
    };
    await expect(watchRun(api, 'web-12', createOutput(), { now: clock, pollMs: 5 })).rejects.toThrow('no such run');
  });
});
