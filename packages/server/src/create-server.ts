import type { Clock, Logger } from '@pipit/core';
import { isPluginError, PluginError } from '@pipit/core';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import { type PublicView, requireAccessRules } from './access.js';
import { createAddressList } from './address-list.js';
import { createAuthenticator } from './authenticate.js';
import { limitConnections } from './connection-limits.js';
import { createDrain } from './drain.js';
import { answerError } from './error-answer.js';
import { createHostRules } from './host-rules.js';
import { rememberRoutes } from './known-routes.js';
import { isLoopback, urlOf } from './listening-address.js';
import { createMetrics } from './metrics.js';
import { describeApi } from './openapi.js';
import { createRefusalLog } from './refusal-log.js';
import { refuseBodyOfGet } from './refuse-body.js';
import { refuseUnstorableText, requireStorableUrl } from './refuse-text.js';
import { addressOf, noteAddress } from './remote-address.js';
import { CHANGES_ROUTE, changeRoutes } from './routes/change-routes.js';
import { commandRoutes } from './routes/command-routes.js';
import { hookRoutes } from './routes/hook-routes.js';
import { probeRoutes } from './routes/probe-routes.js';
import { readRoutes } from './routes/read-routes.js';
import type { RouteContext } from './routes/route-context.js';
import { SECURITY_HEADERS } from './security-headers.js';
import type { ServedRuntime } from './served-runtime.js';

export interface ServerOptions {
  /** Neither started nor stopped by the server. */
  readonly runtime: ServedRuntime;
  /** Default `127.0.0.1`. Tokens go over the wire as they are: put TLS in front of another one. */
  readonly host?: string;
  /** 0: any free one. */
  readonly port: number;
  readonly logger: Logger;
  /** Pipit's own, for `/healthz` and `/openapi.json`. */
  readonly version: string;
  readonly clock: Clock;
  /** Addresses of reverse proxies whose `X-Forwarded-For` is believed; none by default. */
  readonly trustedProxies?: readonly string[];
  /** Where webhooks and people reach pipit; its name is taken in `Host`. */
  readonly publicUrl?: string;
  /** More names and addresses that are taken in `Host`. */
  readonly hosts?: readonly string[];
  /** Addresses and networks that may read `/metrics` without a token; none by default. */
  readonly metricsReaders?: readonly string[];
  /** What anyone may read without a token, without hosts, people and messages; nothing by default. */
  readonly publicViews?: readonly PublicView[];
  /** Milliseconds between two signs of life on a live stream; default 15,000. */
  readonly heartbeatMs?: number;
}

export interface Server {
  /**
   * Opens the port and announces the address to the runtime. Throws a PluginError `SERVER_PORT_TAKEN` or `SERVER_CANNOT_LISTEN`.
   *
   * @returns where it is reached from this machine
   */
  listen(): Promise<{ readonly url: string }>;
  /** Refuses new work with 503 (`/readyz` too) and ends live streams, but keeps the port: for a load balancer to notice before {@link close}. */
  drain(): void;
  /**
   * Drains, closes the port, answers what is under way, and cuts what is left at the deadline (default 10,000 ms). Safe to call twice.
   * Close the server before the runtime is stopped.
   */
  close(options?: { readonly deadlineMs?: number }): Promise<void>;
  /** The fastify application, for `inject` and for further routes before `listen`. */
  readonly app: FastifyInstance;
}

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_HEARTBEAT_MS = 15_000;
const DEFAULT_CLOSE_MS = 10_000;
/** The whole request; 25 MiB in it is 1.8 Mbit/s. */
const REQUEST_TIMEOUT_MS = 120_000;
const HEADERS_TIMEOUT_MS = 20_000;
/** Longer than any name that the API takes, so that a longer one is told so and not called unknown. */
const MAX_PARAM_LENGTH = 500;
const SUMMARIZE_EVERY_MS = 15_000;

const listenError = (cause: unknown, where: string): PluginError => {
  const taken = typeof cause === 'object' && cause !== null && 'code' in cause && cause.code === 'EADDRINUSE';
  if (taken)
    return new PluginError({
      code: 'SERVER_PORT_TAKEN',
      message: `Something else listens on ${where}`,
      hint: 'Stop it, or choose another port.',
      recovery: 'stop',
      cause,
    });
  return new PluginError({
    code: 'SERVER_CANNOT_LISTEN',
    message: `Cannot listen on ${where}: ${cause instanceof Error ? cause.message : String(cause)}`,
    hint: 'Choose an address of this machine, and a port above 1023 unless pipit may use lower ones.',
    recovery: 'stop',
    cause,
  });
};

const urlError = (url: string): unknown => {
  try {
    requireStorableUrl(url);
    return undefined;
  } catch (error) {
    return error;
  }
};

/** Serves a runtime over HTTP: webhooks in, API, live events, probes, metrics. It does nothing before `listen`. */
export const createServer = ({
  runtime,
  host = DEFAULT_HOST,
  port,
  logger,
  version,
  clock,
  trustedProxies = [],
  publicUrl,
  hosts = [],
  metricsReaders = [],
  publicViews = [],
  heartbeatMs = DEFAULT_HEARTBEAT_MS,
}: ServerOptions): Server => {
  const drain = createDrain();
  const metrics = createMetrics({ runtime, logger });
  const refusals = createRefusalLog({ record: (refusal) => runtime.recordRefusal(refusal), clock, logger });
  const authenticator = createAuthenticator({
    runtime,
    refusals,
    clock,
    publicViews: new Set(publicViews),
    metricsReaders: createAddressList(metricsReaders),
  });
  const checkTarget = createHostRules({ host, hosts, ...(publicUrl === undefined ? {} : { publicUrl }) });
  const context: RouteContext = { runtime, logger, clock, version, drain, refusals, authenticator, metrics, heartbeatMs };
  const startedAt = clock.now().getTime().toString(36);
  let requests = 0;

  const sendError = (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const { status, headers, body, unexpected } = answerError(error, request.id);
    if (unexpected)
      logger.error({ err: error, requestId: request.id, method: request.method, route: request.routeOptions.url }, 'A request broke');
    return reply.code(status).headers(headers).type('application/json; charset=utf-8').serializer(JSON.stringify).send(body);
  };

  const app = Fastify({
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    exposeHeadRoutes: false,
    // While closing, our own hooks answer: in our shape, and the probes still.
    return503OnClosing: false,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    http: { headersTimeout: HEADERS_TIMEOUT_MS },
    genReqId: () => `${startedAt}-${++requests}`,
    // A path that cannot be decoded: before any hook.
    frameworkErrors: (error, request, reply) => {
      sendError(urlError(request.raw.url ?? '/') ?? error, request, reply);
    },
    clientErrorHandler: (error, socket) => {
      if (socket.writable && 'code' in error && error.code !== 'ECONNRESET') {
        const tooSlow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
        const body = JSON.stringify(
          tooSlow
            ? { error: { code: 'REQUEST_TOO_SLOW', message: 'The request did not arrive in time' } }
            : { error: { code: 'REQUEST_MALFORMED', message: 'The request is not well-formed HTTP' } },
        );
        const status = tooSlow ? '408 Request Timeout' : '400 Bad Request';
        socket.write(
          `HTTP/1.1 ${status}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
        );
      }
      socket.destroy(error);
    },
  });

  app.setValidatorCompiler(validatorCompiler);
  // The schemas of answers describe; what is answered comes typed out of the runtime and is not checked a second time.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  const routeError = rememberRoutes(app);
  app.setErrorHandler(async (error, request, reply) => {
    if (isPluginError(error) && error.code === 'RIGHT_MISSING')
      await refusals.add({ instance: 'api', remoteAddress: addressOf(request), code: error.code, message: error.message });
    return sendError(error, request, reply);
  });
  requireAccessRules(app);
  app.setNotFoundHandler((request, reply) => sendError(routeError(request.method, request.url.split('?')[0] ?? ''), request, reply));
  app.addHook('onRequest', async (request, reply) => {
    noteAddress(request);
    reply.headers(SECURITY_HEADERS);
    const { access } = request.routeOptions.config;
    checkTarget(request, access);
    if (access === undefined) return;
    refuseBodyOfGet(request, access);
    await authenticator.admit(request, access);
  });
  refuseUnstorableText(app);
  app.addHook('onSend', async (_request, reply) => {
    // Else a kept-alive connection would hold the closing up to its idle timeout.
    if (drain.isDraining()) reply.header('connection', 'close');
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unmatched';
    const { method } = request;
    const status = reply.statusCode;
    // The pattern and never the path with its query, which may hold a secret.
    logger.debug({ requestId: request.id, method, route, status, ms: Math.round(reply.elapsedTime) }, 'Answered');
    // A live stream lasts as long as its reader likes; its time would say nothing.
    if (route !== CHANGES_ROUTE || status !== 200) metrics.observeRequest({ method, route, status, seconds: reply.elapsedTime / 1000 });
  });

  describeApi(app, version);
  app.register(hookRoutes(context));
  app.register(readRoutes(context));
  app.register(changeRoutes(context));
  app.register(commandRoutes(context));
  app.register(probeRoutes(context));
  app.register(async (scope) => {
    scope.get('/openapi.json', { config: { access: { by: 'token' } }, schema: { hide: true } }, async () => scope.swagger());
  });

  limitConnections(app.server, { trustedProxies, logger });

  const summarizing = setInterval(() => void refusals.summarize(), SUMMARIZE_EVERY_MS);
  summarizing.unref();

  let closing: Promise<void> | undefined;
  const closeOnce = async (deadlineMs: number): Promise<void> => {
    drain.begin();
    const cut = setTimeout(() => {
      logger.warn({ deadlineMs }, 'Requests under way were cut off at the deadline');
      app.server.closeAllConnections();
    }, deadlineMs);
    try {
      await app.close();
    } finally {
      clearTimeout(cut);
      clearInterval(summarizing);
      metrics.dispose();
    }
    await refusals.summarize({ force: true });
  };

  return {
    app,
    listen: async () => {
      try {
        await app.listen({ host, port });
      } catch (error) {
        throw listenError(error, `${host}:${port}`);
      }
      const url = urlOf(app.server.address(), host);
      if (!isLoopback(host))
        logger.warn(
          { host },
          'Listening beyond this machine, without TLS: put a proxy with TLS in front, since tokens go over the wire as they are',
        );
      await runtime.announce(url);
      logger.info({ url }, 'Listening');
      return { url };
    },
    drain: () => drain.begin(),
    close: ({ deadlineMs = DEFAULT_CLOSE_MS } = {}) => {
      closing ??= closeOnce(deadlineMs);
      return closing;
    },
  };
};
