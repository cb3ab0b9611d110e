import type { Clock } from '@pipit/core';

/** The machine's own time, for tests of real processes and servers. Where a test is about time, use {@link createFakeClock}. */
export const createSystemClock = (): Clock => ({ now: () => new Date() });
