import { PluginError } from '@pipit/core';
import type { Life } from './life.js';
import type { Outside } from './outside.js';

/** Makes one call to the outside: counted, with the faults that a test has planned, and a crash point before and behind its effect. */
export const callOutside = <T>(outside: Outside, life: Life, name: string, effect: () => T): Promise<T> =>
  life.call(async () => {
    life.point(`${name}: before the effect`);
    if (life.dead) throw new Error('killed');
    outside.calls.set(name, (outside.calls.get(name) ?? 0) + 1);
    const outage = outside.outages.get(name) ?? outside.outages.get('*');
    const isOut = outage !== undefined && outside.nowMs() < outage.untilMs;
    if (isOut && outage.how === 'disk full')
      throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', path: '/var/lib/pipit/work/x' });
    const fault = isOut && outage.how !== 'disk full' ? outage.how : outside.faults.get(name)?.shift();
    const message = `${name} does not answer`;
    if (fault === 'retry') throw new PluginError({ code: 'SIMULATED_BUSY', message, recovery: 'retry' });
    if (fault === 'stop') throw new PluginError({ code: 'SIMULATED_REFUSED', message: `${name} is refused`, recovery: 'stop' });
    if (fault === 'lost before') throw new Error(message);
    const value = effect();
    life.point(`${name}: after the effect`);
    if (fault === 'lost after') throw new Error(message);
    return value;
  });
