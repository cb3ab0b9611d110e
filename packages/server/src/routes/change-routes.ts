import type { ServerResponse } from 'node:http';
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { callerOf } from '../authenticate.js';
import { HttpError } from '../http-error.js';
import { networkOf } from '../network-of.js';
import { addressOf } from '../remote-address.js';
import { changesQuery } from '../schemas/request-schemas.js';
import { errorResponses } from './error-responses.js';
import type { RouteContext } from './route-context.js';

/** A reader that is this far behind, beyond what the kernel buffers, is dropped; it comes back with Last-Event-ID. */
const MAX_UNSENT_BYTES = 256 * 1024;
const MAX_STREAMS = 500;
/** So that one page left open in many tabs, or one script that does not close, leaves room for the others. */
const MAX_STREAMS_OF_TOKEN = 100;
const MAX_STREAMS_OF_NETWORK = 50;
const RECONNECT_MS = 1_000;

/** `<epoch>.<change>`, or a bare change's number, which then is taken for one of this process. */
const EVENT_ID = /^(?:([0-9a-z]{1,20})\.)?([0-9]{1,15})$/;

export const CHANGES_ROUTE = '/api/changes';

interface Resume {
  readonly after?: number;
  /** What the reader saw last was of another process, whose numbers say nothing here. */
  readonly lost: boolean;
}

const parseEventId = (text: string, epoch: string): Resume => {
  const match = EVENT_ID.exec(text);
  if (match === null)
    throw new HttpError({
      status: 400,
      code: 'INVALID_EVENT_ID',
      message: 'Last-Event-ID (or `after`) is not an id of this stream',
      hint: 'Leave it out to follow from now on.',
    });
  return match[1] === undefined || match[1] === epoch ? { after: Number(match[2]), lost: false } : { lost: true };
};

const streamsFull = (status: 429 | 503, message: string): HttpError =>
  new HttpError({
    status,
    code: 'STREAMS_FULL',
    message,
    hint: 'Close some, or come back after the seconds in Retry-After.',
    headers: { 'retry-after': '30' },
  });

const lastEventIdOf = (request: FastifyRequest): string | undefined => {
  const header = request.headers['last-event-id'];
  return typeof header === 'string' && header !== '' ? header : undefined;
};

/** Live events: that something about a run changed. Whoever gets one reads the run again. */
export const changeRoutes =
  ({ runtime, logger, clock, drain, metrics, authenticator, heartbeatMs }: RouteContext): FastifyPluginAsyncZod =>
  async (app) => {
    // The numbers of changes begin anew with each process, so an id also says which process gave it.
    const epoch = clock.now().getTime().toString(36);
    const open = new Map<ServerResponse, { readonly name: string; readonly network: string }>();
    app.addHook('onRequest', async () => drain.refuseIfDraining());

    app.get(
      CHANGES_ROUTE,
      {
        config: { access: { by: 'token' } },
        schema: {
          tags: ['read'],
          security: [{ token: [] }],
          summary: 'Live changes as server-sent events; resumes with Last-Event-ID',
          querystring: changesQuery,
          response: {
            200: { description: 'OK', content: { 'text/event-stream': { schema: z.string() } } },
            ...errorResponses(400, 401, 403, 404, 429),
          },
        },
      },
      async (request, reply) => {
        const given = lastEventIdOf(request) ?? request.query.after;
        const resume = given === undefined ? { lost: false } : parseEventId(given, epoch);
        const { runId } = request.query;
        const caller = callerOf(request);
        const network = networkOf(caller.origin);
        const api = runtime.api(caller);
        const readers = [...open.values()];
        if (readers.length >= MAX_STREAMS) throw streamsFull(503, `${MAX_STREAMS} readers follow changes already`);
        if (readers.filter((each) => each.name === caller.name).length >= MAX_STREAMS_OF_TOKEN)
          throw streamsFull(429, `${MAX_STREAMS_OF_TOKEN} readers with this token follow changes already`);
        if (readers.filter((each) => each.network === network).length >= MAX_STREAMS_OF_NETWORK)
          throw streamsFull(429, `${MAX_STREAMS_OF_NETWORK} readers of this network follow changes already`);
        // An unknown run is told at once, and not by a stream that stays silent for ever.
        if (runId !== undefined) await api.showRun(runId);

        const stopped = new AbortController();
        const signal = AbortSignal.any([stopped.signal, drain.signal]);
        const changes = api
          .follow({ ...(resume.after === undefined ? {} : { after: resume.after }), ...(runId === undefined ? {} : { runId }), signal })
          [Symbol.asyncIterator]();
        // Following begins before the headers go out: whoever sees them misses nothing from then on.
        const first = changes.next();
        first.catch(() => undefined);

        reply.hijack();
        const { raw } = reply;
        open.set(raw, { name: caller.name, network });
        metrics.streamOpened();
        raw.on('close', () => stopped.abort());
        raw.on('error', () => stopped.abort());
        const send = (text: string): void => {
          if (raw.destroyed || raw.writableEnded) return;
          raw.write(text);
          if (raw.writableLength <= MAX_UNSENT_BYTES) return;
          logger.warn({ remoteAddress: addressOf(request) }, 'A slow reader of live changes was dropped');
          raw.destroy();
        };
        for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
        raw.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no', connection: 'close' });
        send(`retry: ${RECONNECT_MS}\n\n`);
        if (resume.lost) send('event: reset\ndata: {}\n\n');
        const beat = async (): Promise<void> => {
          send(': still here\n\n');
          // A database that is away for a moment says nothing about the token.
          const isValid = await authenticator.isStillValid(request).catch(() => true);
          if (!isValid) stopped.abort();
        };
        const heartbeat = setInterval(() => void beat(), heartbeatMs);
        try {
          for (let next = await first; next.done !== true; next = await changes.next())
            send(`id: ${epoch}.${next.value.id}\nevent: change\ndata: ${JSON.stringify(next.value)}\n\n`);
        } catch (error) {
          if (!signal.aborted) logger.error({ err: error }, 'Live changes broke off');
        } finally {
          clearInterval(heartbeat);
          open.delete(raw);
          metrics.streamClosed();
          raw.end();
        }
      },
    );
  };
