import { storableText } from '@pipit/core';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { answerError } from '../error-answer.js';
import { HttpError } from '../http-error.js';
import { type BodyBudget, createBodyBudget, readRawBody } from '../read-raw-body.js';
import { addressOf } from '../remote-address.js';
import { hookParams } from '../schemas/request-schemas.js';
import { errorResponses } from './error-responses.js';
import type { RouteContext } from './route-context.js';

type HookReceived = Parameters<RouteContext['runtime']['receive']>[1];

const labelsOf = (headers: FastifyRequest['headers']): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );

/** Of a name given twice, the last. The rest of the target is not looked at: it need not be a URL that can be parsed. */
const queryOf = (target: string): Record<string, string> => {
  const at = target.indexOf('?');
  return at < 0 ? {} : Object.fromEntries(new URLSearchParams(target.slice(at + 1)));
};

/** A plugin answers with text; chat systems want JSON to be called so. Never HTML: nothing of a plugin's runs in a browser. */
const contentTypeOf = (body: string): string => {
  try {
    JSON.parse(body);
    return 'application/json; charset=utf-8';
  } catch {
    return 'text/plain; charset=utf-8';
  }
};

const accepted = z.object({ eventIds: z.array(z.string()), repeated: z.boolean() });
const pinged = z.object({ pinged: z.literal(true) });

/** Webhooks in: the exact bytes to the instance's plugin; answered with success only when what they told is durable. */
export const hookRoutes =
  ({ runtime, drain, refusals, metrics }: RouteContext, budget: BodyBudget = createBodyBudget()): FastifyPluginAsync =>
  async (app) => {
    const held = new WeakMap<FastifyRequest, number>();
    const instanceOf = (request: FastifyRequest): string => {
      const parsed = hookParams.safeParse(request.params);
      // Refused before, for text that cannot be stored: not to be stored as something else here.
      return parsed.success && storableText(parsed.data.instance) === parsed.data.instance ? parsed.data.instance : '?';
    };
    const noteRefusal = async (request: FastifyRequest, code: string, message: string): Promise<void> => {
      metrics.countRefusal(code);
      await refusals.add({ instance: instanceOf(request), remoteAddress: addressOf(request), code, message });
    };

    app.addHook('onRequest', async () => drain.refuseIfDraining());
    app.removeAllContentTypeParsers();
    // The signature is over the raw bytes, whatever they call themselves; which content types it takes is the plugin's to say.
    app.addContentTypeParser('*', async (request: FastifyRequest, payload: FastifyRequest['raw']) => {
      const body = await readRawBody(payload, Number(request.headers['content-length'] ?? 0), budget);
      held.set(request, body.length);
      return body;
    });
    // Once a body is read, either the handler or the error handler runs, whatever became of the connection.
    const giveBack = (request: FastifyRequest): void => {
      budget.give(held.get(request) ?? 0);
      held.delete(request);
    };

    app.setErrorHandler(async (error, request) => {
      giveBack(request);
      const { status, body } = answerError(error, request.id);
      // What is our own fault is not the sender's, and is logged by the handler that this passes on to.
      if (status >= 400 && status < 500) await noteRefusal(request, body.error.code, body.error.message);
      throw error;
    });

    const receive = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
      const hook: HookReceived = {
        method: request.method,
        query: queryOf(request.url),
        headers: labelsOf(request.headers),
        body: request.body instanceof Uint8Array ? request.body : new Uint8Array(),
        remoteAddress: addressOf(request),
      };
      const answer = await runtime.receive(instanceOf(request), hook).finally(() => giveBack(request));
      switch (answer.type) {
        case 'refused':
          // Thrown, so that it is noted and answered in the same way as what the server itself refuses.
          throw new HttpError({ status: answer.status, code: answer.code, message: answer.message });
        case 'accepted':
        case 'pinged': {
          if (answer.answer !== undefined)
            return reply.code(answer.answer.status).type(contentTypeOf(answer.answer.body)).serializer(String).send(answer.answer.body);
          if (answer.type === 'pinged') return reply.code(200).send({ pinged: true });
          return reply.code(202).send({ eventIds: answer.eventIds, repeated: answer.repeated });
        }
      }
    };

    const config = { access: { by: 'hook' } } as const;
    const schema = {
      tags: ['hook'],
      params: hookParams,
      response: { 200: pinged, 202: accepted, ...errorResponses(400, 401, 403, 404, 413, 415) },
    };
    app.post(
      '/hooks/:instance',
      { config, schema: { ...schema, summary: 'A webhook for a plugin instance; 202 once it is durable' } },
      receive,
    );
    app.get('/hooks/:instance', { config, schema: { ...schema, summary: 'The same, for senders that can only GET' } }, receive);
  };
