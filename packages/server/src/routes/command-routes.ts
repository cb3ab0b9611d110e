import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { callerOf } from '../authenticate.js';
import { textOfBody } from '../refuse-text.js';
import {
  appParams,
  cancelBody,
  noBody,
  noQuery,
  promoteBody,
  reconcileBody,
  retryBody,
  rollbackBody,
  runParams,
  tokenBody,
  tokenParams,
} from '../schemas/request-schemas.js';
import { begun, cancelled, createdToken, reconciled, retried, rolledBack, token as tokenSchema } from '../schemas/view-schemas.js';
import { errorResponses } from './error-responses.js';
import type { RouteContext } from './route-context.js';

/** A command is some names and a sentence. */
const MAX_BODY_BYTES = 64 * 1024;

/** Everything that changes state: the token's name and the caller's address go into the audit trail. */
export const commandRoutes =
  ({ runtime, drain }: RouteContext): FastifyPluginAsyncZod =>
  async (app) => {
    const shared = { tags: ['command'], security: [{ token: [] }], querystring: noQuery };
    app.addHook('onRequest', async () => drain.refuseIfDraining());
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
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'Give the next ring what the ring before it runs, verified; there is no version to choose',
          params: appParams,
          body: promoteBody,
          response: { 202: begun, ...errorResponses(400, 401, 403, 404, 409, 413, 415) },
        },
      },
      async (request, reply) => {
        const promoted = await runtime.api(callerOf(request)).promote({ app: request.params.app, ...request.body });
        return reply.code(202).send(promoted);
      },
    );

    app.post(
      '/api/apps/:app/rollback',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'Bring a ring back to its release before, the canary to what production runs; accepted at any time',
          params: appParams,
          body: rollbackBody,
          response: { 202: rolledBack, ...errorResponses(400, 401, 403, 404, 409, 413, 415) },
        },
      },
      async (request, reply) => {
        return reply.code(202).send(await runtime.api(callerOf(request)).rollback({ app: request.params.app, ...request.body }));
      },
    );

    app.post(
      '/api/runs/:id/cancel',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'Ask a run to end before its next effect; a bake ends at once, a rollout under way goes to its end first',
          params: runParams,
          body: cancelBody,
          response: { 202: cancelled, ...errorResponses(400, 401, 403, 404, 409, 413, 415) },
        },
      },
      async (request, reply) => {
        return reply.code(202).send(await runtime.api(callerOf(request)).cancel({ runId: request.params.id, ...request.body }));
      },
    );

    app.post(
      '/api/runs/:id/retry',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'Continue a failed run at the stage that failed',
          params: runParams,
          body: retryBody,
          response: { 202: retried, ...errorResponses(400, 401, 403, 404, 409, 413, 415) },
        },
      },
      async (request, reply) => {
        return reply.code(202).send(await runtime.api(callerOf(request)).retry({ runId: request.params.id, ...request.body }));
      },
    );

    app.post(
      '/api/reconcile',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: "Lift a quarantine: take what the outside advertises as the database's sequences",
          body: reconcileBody,
          response: { 200: reconciled, ...errorResponses(400, 401, 403, 409, 413, 415) },
        },
      },
      async (request) => runtime.api(callerOf(request)).reconcile(request.body),
    );

    app.post(
      '/api/tokens',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'Make a token; the answer has it, this once',
          body: tokenBody,
          response: { 201: createdToken, ...errorResponses(400, 401, 403, 409, 413, 415) },
        },
      },
      async (request, reply) => {
        const { expiresInMs = null, ...token } = request.body;
        return reply.code(201).send(await runtime.api(callerOf(request)).createToken({ ...token, expiresInMs }));
      },
    );

    app.post(
      '/api/tokens/:name/revoke',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'End a token at once; its name is not given again',
          params: tokenParams,
          body: noBody,
          response: { 200: tokenSchema, ...errorResponses(400, 401, 403, 404, 413, 415) },
        },
      },
      async (request) => runtime.api(callerOf(request)).revokeToken(request.params),
    );
  };
