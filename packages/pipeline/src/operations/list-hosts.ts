import type { Host, RingName, RingRef } from '@pipit/core';
import type { PipelineDefinition } from '../ports/parts.js';
import type { StepTools } from './run-step.js';
import { StepFailed } from './step-failed.js';

/** All hosts of a ring, available or not, without those that belong to an earlier ring. */
export const listRingHosts = async (tools: StepTools, definition: PipelineDefinition, ring: RingRef): Promise<readonly Host[]> => {
  const { discovery, rings } = definition;
  const at = rings.findIndex((each) => each.name === ring.ring);
  const find = async (name: RingName): Promise<readonly Host[]> => {
    const query = { target: { ...ring, ring: name }, options: discovery.options };
    return (await tools.effect({ part: discovery, folder: 'none' }, (op) => discovery.subject.findHosts(query, op))).hosts;
  };
  const earlier = new Set<string>();
  for (const each of rings.slice(0, Math.max(0, at))) for (const host of await find(each.name)) earlier.add(host.id);
  const hosts = (await find(ring.ring)).filter((host) => !earlier.has(host.id));
  if (hosts.length === 0)
    throw new StepFailed({
      code: 'RING_HAS_NO_HOSTS',
      message: `Discovery ${discovery.instance} knows no host of ${ring.app} (${ring.role}) in ring ${ring.ring}`,
      hint: 'Tag its hosts there; `pipit hosts` shows what is found.',
    });
  return hosts;
};
