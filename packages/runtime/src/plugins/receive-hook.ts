import { type HookRequest, isPluginError, type Logger } from '@pipit/core';
import type { Intake } from '@pipit/pipeline';
import { createCall } from '../effects.js';
import type { HookAnswer } from '../runtime.js';
import type { Instances } from './instances.js';

/** GitHub closes a delivery after 10 s; verifying does no I/O, so it needs far less. */
const RECEIVE_DEADLINE_MS = 5_000;

/** Verifies with the instance's plugin, and answers a success only when everything told is durable. */
export const receiveHook = async (
  ports: { readonly instances: Instances; readonly intake: Intake; readonly logger: Logger; readonly signal: AbortSignal },
  instance: string,
  request: HookRequest,
): Promise<HookAnswer> => {
  const receive = ports.instances.get(instance)?.receive;
  if (receive === undefined) return { type: 'refused', status: 404, code: 'HOOK_UNKNOWN', message: `There is no hook ${instance}` };
  let received: Awaited<ReturnType<typeof receive>>;
  try {
    received = await receive.call(ports.instances.get(instance), request, createCall(ports.logger, ports.signal, RECEIVE_DEADLINE_MS));
  } catch (error) {
    if (isPluginError(error) && error.recovery === 'stop')
      return { type: 'refused', status: 400, code: error.code, message: error.message };
    throw error;
  }
  if ('refused' in received) return { type: 'refused', status: received.status, code: received.code, message: received.refused };
  const answer = received.answer === undefined ? {} : { answer: received.answer };
  if (received.accepted.length === 0) return { type: 'pinged', ...answer };
  const actor = { name: instance, origin: request.remoteAddress };
  const accepted = await Promise.all(received.accepted.map((inbound) => ports.intake.accept({ instance, actor, inbound })));
  return { type: 'accepted', eventIds: accepted.map((each) => each.eventId), repeated: accepted.every((each) => each.repeated), ...answer };
};
