import type { Clock, Setup } from '@pipit/core';
import { createSystemClock } from './system-clock.js';
import { createTestLogger, type TestLogger } from './test-logger.js';
import { createTrustedSandbox } from './trusted-sandbox.js';

export interface TestSetupOptions extends Partial<Omit<Setup, 'folder' | 'logger'>> {
  /** The instance's private folder; the test removes it. Two set-ups with one folder stand for a restart on the same machine. */
  readonly folder: string;
  readonly logger?: TestLogger;
  /** Default: the machine's. */
  readonly clock?: Clock;
}

/** What a plugin's `setup` gets beside its config. */
export const createTestSetup = ({
  folder,
  logger = createTestLogger(),
  ...given
}: TestSetupOptions): Setup & { readonly logger: TestLogger } => ({
  instance: 'test',
  hookUrl: 'http://127.0.0.1:8080/hooks/test',
  clock: createSystemClock(),
  sandbox: createTrustedSandbox(),
  ...given,
  folder,
  logger,
});
