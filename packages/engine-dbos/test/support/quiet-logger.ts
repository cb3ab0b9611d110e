import type { Clock, Logger } from '@pipit/core';

export const quietLogger: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
export const systemClock: Clock = { now: () => new Date() };
