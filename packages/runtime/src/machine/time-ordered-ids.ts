import { randomBytes } from 'node:crypto';
import type { Clock } from '@pipit/core';
import type { IdSource } from '@pipit/pipeline';

/** UUIDs of version 7 (RFC 9562): they sort by the millisecond of their making, and within one by a counter. */
export const createIdSource = (clock: Clock): IdSource => {
  let lastMs = 0;
  let counter = 0;
  return {
    next: () => {
      const now = clock.now().getTime();
      counter = now > lastMs ? 0 : counter + 1;
      // A clock that goes back, or more than 4,096 ids in a millisecond: time moves on within the ids.
      lastMs = Math.max(lastMs, now) + (counter > 0xfff ? 1 : 0);
      if (counter > 0xfff) counter = 0;
      const time = lastMs.toString(16).padStart(12, '0');
      const random = randomBytes(8);
      random[0] = ((random[0] ?? 0) & 0x3f) | 0x80;
      const tail = random.toString('hex');
      return `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, '0')}-${tail.slice(0, 4)}-${tail.slice(4)}`;
    },
  };
};
