import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished, vi } from 'vitest';
import { watchEventLoop } from '../src/machine/watch-event-loop.js';

it('logs how long the event loop was blocked and what processor time went there, and nothing while it turns', async () => {
  const warn = vi.fn();
  const logger = { debug: () => undefined, info: () => undefined, warn, error: () => undefined };
  onTestFinished(watchEventLoop({ logger, worthALineMs: 300, lookEveryMs: 10 }));
  await sleep(30);
  expect(warn).not.toHaveBeenCalled();
  const end = performance.now() + 350;
  while (performance.now() < end);
  await vi.waitFor(() => expect(warn).toHaveBeenCalled());
  const fields: { blockedMs: number; processorMs: number } = warn.mock.calls[0]?.[0];
  expect(fields.blockedMs).toBeGreaterThanOrEqual(300);
  expect(fields.processorMs).toBeGreaterThan(0);
});
