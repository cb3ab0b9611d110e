import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { callerOf } from '../authenticate.js';
import {
  appParams,
  eventParams,
  hostsQuery,
  logQuery,
  noQuery,
  pageQuery,
  planQuery,
  runParams,
  runsQuery,
} from '../schemas/request-schemas.js';
import { audit, auditHead, event, release, run } from '../schemas/row-schemas.js';
import { app as appSchema, finding, host, logView, pageOf, plan, runDetail, token } from '../schemas/view-schemas.js';
import { errorResponses } from './error-responses.js';
import type { RouteContext } from './route-context.js';

/** Everything that can be read, with any token. The config may make a part of the first two public. */
export const readRoutes =
  ({ runtime, drain }: RouteContext): FastifyPluginAsyncZod =>
  async (app) => {
    const shared = { tags: ['read'], security: [{ token: [] }] };
    app.addHook('onRequest', async () => drain.refuseIfDraining());

    app.get(
      '/api/apps',
      {
        config: { access: { by: 'token', publicAs: 'apps' } },
        schema: {
          ...shared,
          summary: 'Every app and where its rings stand',
          querystring: noQuery,
          response: { 200: z.array(appSchema), ...errorResponses(400, 401, 403) },
        },
      },
      async (request) => [...(await runtime.api(callerOf(request)).listApps())],
    );

    app.get(
      '/api/runs',
      {
        config: { access: { by: 'token', publicAs: 'runs' } },
        schema: {
          ...shared,
          summary: 'Runs, newest first',
          querystring: runsQuery,
          response: { 200: pageOf(run), ...errorResponses(400, 401, 403) },
        },
      },
      async (request) => runtime.api(callerOf(request)).listRuns(request.query),
    );

    app.get(
      '/api/runs/:id',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'One run: its stages, operations with their steps, rollouts with their hosts',
          params: runParams,
          querystring: noQuery,
          response: { 200: runDetail, ...errorResponses(400, 401, 403, 404) },
        },
      },
      async (request) => runtime.api(callerOf(request)).showRun(request.params.id),
    );

    app.get(
      '/api/runs/:id/log',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: "The tail of a run's logs, operation by operation",
          params: runParams,
          querystring: logQuery,
          response: { 200: logView, ...errorResponses(400, 401, 403, 404) },
        },
      },
      async (request) => runtime.api(callerOf(request)).readLog({ runId: request.params.id, ...request.query }),
    );

    app.get(
      '/api/apps/:app/releases',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: "An app's releases, newest first",
          params: appParams,
          querystring: pageQuery,
          response: { 200: pageOf(release), ...errorResponses(400, 401, 403, 404) },
        },
      },
      async (request) => runtime.api(callerOf(request)).listReleases({ app: request.params.app, ...request.query }),
    );

    app.get(
      '/api/apps/:app/hosts',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: "An app's hosts as they are now; asks the hosts themselves",
          params: appParams,
          querystring: hostsQuery,
          response: { 200: z.array(host), ...errorResponses(400, 401, 403, 404) },
        },
      },
      async (request) => [...(await runtime.api(callerOf(request)).listHosts({ app: request.params.app, ...request.query }))],
    );

    app.get(
      '/api/events',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'What the outside told, newest first',
          querystring: pageQuery,
          response: { 200: pageOf(event), ...errorResponses(400, 401, 403) },
        },
      },
      async (request) => runtime.api(callerOf(request)).listEvents(request.query),
    );

    app.get(
      '/api/events/:id',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'One event and what became of it',
          params: eventParams,
          querystring: noQuery,
          response: { 200: event, ...errorResponses(400, 401, 403, 404) },
        },
      },
      async (request) => runtime.api(callerOf(request)).showEvent(request.params.id),
    );

    app.get(
      '/api/audit',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'The audit trail, newest first',
          querystring: pageQuery,
          response: { 200: pageOf(audit), ...errorResponses(400, 401, 403) },
        },
      },
      async (request) => runtime.api(callerOf(request)).listAudit(request.query),
    );

    app.get(
      '/api/audit/heads',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: "Signed statements of the audit trail's last line, newest first",
          querystring: pageQuery,
          response: { 200: pageOf(auditHead), ...errorResponses(400, 401, 403) },
        },
      },
      async (request) => runtime.api(callerOf(request)).listAuditHeads(request.query),
    );

    app.get(
      '/api/plan',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'What a commit would do; asking changes nothing',
          querystring: planQuery,
          response: { 200: plan, ...errorResponses(400, 401, 403, 404) },
        },
      },
      async (request) => runtime.api(callerOf(request)).plan(request.query),
    );

    app.get(
      '/api/doctor',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: "Every plugin's health, each check named",
          querystring: noQuery,
          response: { 200: z.array(finding), ...errorResponses(400, 401, 403) },
        },
      },
      async (request) => [...(await runtime.api(callerOf(request)).doctor())],
    );

    app.get(
      '/api/tokens',
      {
        config: { access: { by: 'token' } },
        schema: {
          ...shared,
          summary: 'Every token, without what proves it; for an admin',
          querystring: noQuery,
          response: { 200: z.array(token), ...errorResponses(400, 401, 403) },
        },
      },
      async (request) => [...(await runtime.api(callerOf(request)).listTokens())],
    );
  };
