import type { FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { authenticate } from '../authenticate.js';
import { textOfBody } from '../refuse-text.js';
import { appParams, cancelBody, noQuery, promoteBody, reconcileBody, rollbackBody, runParams } from '../schemas/request-schemas.js';
import { begun, cancelled, reconciled, rolledBack } from '../schemas/view-schemas.js';
import type { Actor } from '../served-runtime.js';
import { errorResponses } from './error-responses.js';
import type { RouteContext } from './route-context.js';

/** A command is some names and a sentence. */
const MAX_BODY_BYTES = 64 * 1024;

/** Everything that changes state. Each call needs a bearer token; its name and the caller's address go into the audit trail. */
export const commandRoutes =
  ({ runtime, drain, refusals }: RouteContext): FastifyPluginAsyncZod =>
  async (app) => {
    const shared = { tags: ['command'], security: [{ token: [] }], querystring: noQuery };
    const actors = new WeakMap<FastifyRequest, Actor>();
    const apiOf = (request: FastifyRequest) => {
      const actor = actors.get(request);
      // Not reached: the hook below has set it, or has thrown.
      if (actor === undefined) throw new TypeError('A command came past authentication');
      return runtime.api(actor);
    };

    app.addHook('onRequest', async (request) => {
      drain.refuseIfDraining();
      // Before the body is read: who has no token gets nothing parsed.
      actors.set(request, await authenticate(request, { runtime, refusals }));
    });
    const parseJson = app.getDefaultJsonParser('error', 'error');
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES }, (request, body: Buffer, done) => {
      if (body.length === 0) return done(null, undefined);
      try {
        void parseJson(request, textOfBody(body), done);
      } catch (error) {
        done(error as Error); // ours: not UTF-8
      }
    });
    app.addHook('preValidation', async (request) => {
      // Every field of a command may be left out, and so may the body.
      request.body ??= {};
    });

    app.post(
      '/api/apps/:app/promote',
      {
        schema: {
          ...shared,
          summary: 'Give the next ring what the ring before it runs, verified; there is no version to choose',
          params: appParams,
          body: promoteBody,
          response: { 202: begun, ...errorResponses(400, 401, 404, 409, 413, 415) },
        },
      },
      async (request, reply) => {
        const promoted = await apiOf(request).promote({ app: request.params.app, ...request.body });
        return reply.code(202).send(promoted);
      },
    );

    app.post(
      '/api/apps/:app/rollback',
      {
        schema: {
          ...shared,
          summary: 'Bring a ring back to its release before, the canary to what production runs; accepted at any time',
          params: appParams,
          body: rollbackBody,
          response: { 202: rolledBack, ...errorResponses(400, 401, 404, 409, 413, 415) },
        },
      },
      async (request, reply) => {
        return reply.code(202).send(await apiOf(request).rollback({ app: request.params.app, ...request.body }));
      },
    );

    app.post(
      '/api/runs/:id/cancel',
      {
        schema: {
          ...shared,
          summary: 'Ask a run to end before its next effect; a bake ends at once, a rollout under way goes to its end first',
          params: runParams,
          body: cancelBody,
          response: { 202: cancelled, ...errorResponses(400, 401, 404, 409, 413, 415) },
        },
      },
      async (request, reply) => {
        return reply.code(202).send(await apiOf(request).cancel({ runId: request.params.id, ...request.body }));
      },
    );

    app.post(
      '/api/reconcile',
      {
        schema: {
          ...shared,
          summary: "Lift a quarantine: take what the outside advertises as the database's sequences",
          body: reconcileBody,
          response: { 200: reconciled, ...errorResponses(400, 401, 409, 413, 415) },
        },
      },
      async (request) => apiOf(request).reconcile(request.body),
    );
  };
