import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { named } from '../schemas/primitive-schemas.js';
import type { ServedRuntime } from '../served-runtime.js';
import { errorResponses } from './error-responses.js';
import type { RouteContext } from './route-context.js';

/** A load balancer asks every few seconds and wants an answer before it asks again. */
const HEALTH_TIMEOUT_MS = 3_000;

const readiness = named(
  'Readiness',
  z.object({
    ready: z.boolean(),
    draining: z.boolean(),
    database: z.boolean(),
    quarantine: z.string().nullable().describe('Why nothing is done until a person reconciles; the server still answers'),
    checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string().exactOptional() })),
    databaseAway: z
      .object({ since: z.string(), reason: z.string(), nextTryAt: z.string(), givesUpAt: z.string() })
      .exactOptional()
      .describe('Since when and why the database does not answer, when it is tried next, and when pipit ends'),
  }),
);

type Health = Awaited<ReturnType<ServedRuntime['health']>>;

const readHealth = async ({ runtime, logger }: RouteContext): Promise<Health> => {
  const unknown = (detail: string): Health => ({
    ready: false,
    database: false,
    stopping: false,
    quarantine: null,
    checks: [{ name: 'health', ok: false, detail }],
  });
  const timer = new AbortController();
  try {
    return await Promise.race([
      runtime.health(),
      delay(HEALTH_TIMEOUT_MS, unknown(`no answer within ${HEALTH_TIMEOUT_MS} ms`), { signal: timer.signal }),
    ]);
  } catch (error) {
    logger.error({ err: error }, 'The health of the runtime could not be read');
    return unknown('could not be read');
  } finally {
    timer.abort();
  }
};

/** For whatever watches the process: is it up, should it get requests, how is it doing. */
export const probeRoutes =
  (context: RouteContext): FastifyPluginAsyncZod =>
  async (app) => {
    const { drain, metrics, version } = context;
    const tags = ['probe'];

    app.get(
      '/healthz',
      {
        config: { access: { by: 'probe' } },
        exposeHeadRoute: true,
        schema: { tags, summary: 'The process is up', response: { 200: z.object({ status: z.literal('ok'), version: z.string() }) } },
      },
      async () => ({ status: 'ok' as const, version }),
    );

    app.get(
      '/readyz',
      {
        config: { access: { by: 'probe' } },
        exposeHeadRoute: true,
        schema: {
          tags,
          summary: 'Whether it should get requests: 503 while draining or without its database; ready, and says so, in quarantine',
          response: { 200: readiness, 503: readiness },
        },
      },
      async (_request, reply) => {
        const health = await readHealth(context);
        const draining = drain.isDraining() || health.stopping;
        const ready = !draining && health.database && (health.ready || health.quarantine !== null);
        const { database, quarantine, checks, databaseAway } = health;
        const body = { ready, draining, database, quarantine, checks: [...checks] };
        return reply.code(ready ? 200 : 503).send(databaseAway === undefined ? body : { ...body, databaseAway });
      },
    );

    app.get(
      '/metrics',
      {
        config: { access: { by: 'metrics' } },
        schema: {
          tags,
          security: [{ token: [] }],
          summary: 'Counters and gauges, in the text format of Prometheus',
          response: { 200: { description: 'OK', content: { 'text/plain': { schema: z.string() } } }, ...errorResponses(400, 401) },
        },
      },
      async (_request, reply) =>
        reply
          .type(metrics.contentType)
          .serializer(String)
          .send(await metrics.render()),
    );
  };
