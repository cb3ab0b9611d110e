import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { readerOf } from '../authenticate.js';
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
import { app as appSchema, finding, host, logView, pageOf, plan, runDetail } from '../schemas/view-schemas.js';
import { errorResponses } from './error-responses.js';
import type { RouteContext } from './route-context.js';

/** Everything that can be read. No token is needed: the server listens on this machine only, unless told otherwise. */
export const readRoutes =
  ({ runtime, drain }: RouteContext): FastifyPluginAsyncZod =>
  async (app) => {
    const tags = ['read'];
    app.addHook('onRequest', async () => drain.refuseIfDraining());

    app.get(
      '/api/apps',
      {
        schema: {
          tags,
          summary: 'Every app and where its rings stand',
          querystring: noQuery,
          response: { 200: z.array(appSchema), ...errorResponses(400) },
        },
      },
      async (request) => [...(await runtime.api(readerOf(request)).listApps())],
    );

    app.get(
      '/api/runs',
      { schema: { tags, summary: 'Runs, newest first', querystring: runsQuery, response: { 200: pageOf(run), ...errorResponses(400) } } },
      async (request) => runtime.api(readerOf(request)).listRuns(request.query),
    );

    app.get(
      '/api/runs/:id',
      {
        schema: {
          tags,
          summary: 'One run: its stages, operations with their steps, rollouts with their hosts',
          params: runParams,
          querystring: noQuery,
          response: { 200: runDetail, ...errorResponses(404) },
        },
      },
      async (request) => runtime.api(readerOf(request)).showRun(request.params.id),
    );

    app.get(
      '/api/runs/:id/log',
      {
        schema: {
          tags,
          summary: "The tail of a run's logs, operation by operation",
          params: runParams,
          querystring: logQuery,
          response: { 200: logView, ...errorResponses(400, 404) },
        },
      },
      async (request) => runtime.api(readerOf(request)).readLog({ runId: request.params.id, ...request.query }),
    );

    app.get(
      '/api/apps/:app/releases',
      {
        schema: {
          tags,
          summary: "An app's releases, newest first",
          params: appParams,
          querystring: pageQuery,
          response: { 200: pageOf(release), ...errorResponses(400, 404) },
        },
      },
      async (request) => runtime.api(readerOf(request)).listReleases({ app: request.params.app, ...request.query }),
    );

    app.get(
      '/api/apps/:app/hosts',
      {
        schema: {
          tags,
          summary: "An app's hosts as they are now; asks the hosts themselves",
          params: appParams,
          querystring: hostsQuery,
          response: { 200: z.array(host), ...errorResponses(400, 404) },
        },
      },
      async (request) => [...(await runtime.api(readerOf(request)).listHosts({ app: request.params.app, ...request.query }))],
    );

    app.get(
      '/api/events',
      {
        schema: {
          tags,
          summary: 'What the outside told, newest first',
          querystring: pageQuery,
          response: { 200: pageOf(event), ...errorResponses(400) },
        },
      },
      async (request) => runtime.api(readerOf(request)).listEvents(request.query),
    );

    app.get(
      '/api/events/:id',
      {
        schema: {
          tags,
          summary: 'One event and what became of it',
          params: eventParams,
          querystring: noQuery,
          response: { 200: event, ...errorResponses(404) },
        },
      },
      async (request) => runtime.api(readerOf(request)).showEvent(request.params.id),
    );

    app.get(
      '/api/audit',
      {
        schema: {
          tags,
          summary: 'The audit trail, newest first',
          querystring: pageQuery,
          response: { 200: pageOf(audit), ...errorResponses(400) },
        },
      },
      async (request) => runtime.api(readerOf(request)).listAudit(request.query),
    );

    app.get(
      '/api/audit/heads',
      {
        schema: {
          tags,
          summary: "Signed statements of the audit trail's last line, newest first",
          querystring: pageQuery,
          response: { 200: pageOf(auditHead), ...errorResponses(400) },
        },
      },
      async (request) => runtime.api(readerOf(request)).listAuditHeads(request.query),
    );

    app.get(
      '/api/plan',
      {
        schema: {
          tags,
          summary: 'What a commit would do; asking changes nothing',
          querystring: planQuery,
          response: { 200: plan, ...errorResponses(400, 404) },
        },
      },
      async (request) => runtime.api(readerOf(request)).plan(request.query),
    );

    app.get(
      '/api/doctor',
      {
        schema: {
          tags,
          summary: "Every plugin's health, each check named",
          querystring: noQuery,
          response: { 200: z.array(finding), ...errorResponses(400) },
        },
      },
      async (request) => [...(await runtime.api(readerOf(request)).doctor())],
    );
  };
