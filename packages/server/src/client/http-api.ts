import type { Api } from '@pipit/runtime';
import { z } from 'zod';
import { audit, auditHead, event, release, run } from '../schemas/row-schemas.js';
import {
  app,
  begun,
  cancelled,
  createdToken,
  finding,
  host,
  logView,
  pageOf,
  plan,
  reconciled,
  retried,
  rolledBack,
  runDetail,
  token,
} from '../schemas/view-schemas.js';
import { followChanges } from './follow-changes.js';
import { createHttpCaller, type HttpCallerOptions } from './http-call.js';

export interface HttpApiOptions extends HttpCallerOptions {
  /** How long `follow` goes on trying to reach a server that it has lost, in milliseconds; default 60,000. */
  readonly reconnectForMs?: number;
  /** How long `follow` waits for a sign of life before it connects anew, in milliseconds; default 45,000. */
  readonly silenceMs?: number;
}

const DEFAULT_RECONNECT_FOR_MS = 60_000;
/** Three of the server's heartbeats. */
const DEFAULT_SILENCE_MS = 45_000;

const name = encodeURIComponent;

/**
 * The runtime's Api, of a pipit that runs elsewhere. The server's errors come back as PluginErrors of the same code, message and hint. Its own:
 * `SERVER_UNREACHABLE` (`retry` where nothing was changed by asking, else `reconcile`) and `SERVER_ANSWER_UNREADABLE`.
 *
 * `follow` connects again by itself. When it cannot know what it missed, it says of each run that may have changed to look at it again.
 */
export const createHttpApi = ({
  reconnectForMs = DEFAULT_RECONNECT_FOR_MS,
  silenceMs = DEFAULT_SILENCE_MS,
  ...options
}: HttpApiOptions): Api => {
  const caller = createHttpCaller(options);
  const { get, post } = caller;
  const api: Api = {
    listApps: () => get('/api/apps', {}, z.array(app)),
    listRuns: (query = {}) => get('/api/runs', query, pageOf(run)),
    showRun: (runId) => get(`/api/runs/${name(runId)}`, {}, runDetail),
    readLog: ({ runId, ...query }) => get(`/api/runs/${name(runId)}/log`, query, logView),
    listReleases: ({ app: of, ...query }) => get(`/api/apps/${name(of)}/releases`, query, pageOf(release)),
    listHosts: ({ app: of, ...query }) => get(`/api/apps/${name(of)}/hosts`, query, z.array(host)),
    showEvent: (eventId) => get(`/api/events/${name(eventId)}`, {}, event),
    listEvents: (query = {}) => get('/api/events', query, pageOf(event)),
    listAudit: (query = {}) => get('/api/audit', query, pageOf(audit)),
    listAuditHeads: (query = {}) => get('/api/audit/heads', query, pageOf(auditHead)),
    plan: (query) => get('/api/plan', query, plan),
    doctor: () => get('/api/doctor', {}, z.array(finding)),
    promote: ({ app: of, ...body }) => post(`/api/apps/${name(of)}/promote`, body, begun),
    rollback: ({ app: of, ...body }) => post(`/api/apps/${name(of)}/rollback`, body, rolledBack),
    cancel: ({ runId, ...body }) => post(`/api/runs/${name(runId)}/cancel`, body, cancelled),
    retry: ({ runId, ...body }) => post(`/api/runs/${name(runId)}/retry`, body, retried),
    reconcile: (body) => post('/api/reconcile', body, reconciled),
    listTokens: () => get('/api/tokens', {}, z.array(token)),
    createToken: ({ expiresInMs, ...body }) =>
      post('/api/tokens', { ...body, ...(expiresInMs === null ? {} : { expiresInMs }) }, createdToken),
    revokeToken: ({ name: of }) => post(`/api/tokens/${name(of)}/revoke`, {}, token),
    follow: (followed) =>
      followChanges(followed, {
        open: caller.open,
        reconnectForMs,
        silenceMs,
        listRunIds: async () => (await api.listRuns({ limit: 200 })).rows.map((row) => row.id),
      }),
  };
  return api;
};
