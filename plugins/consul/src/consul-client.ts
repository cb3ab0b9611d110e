import { type HttpAnswer, type HttpTls, requestHttp } from '@pipit/plugin-kit';
import type { ConsulConfig } from './config.js';
import { connectionFailure, statusFailure, unknownAnswer } from './consul-failure.js';

/** One question to the agent. */
export interface ConsulQuestion {
  /** Default `GET`. */
  readonly method?: 'GET' | 'PUT';
  /** From `/v1/` on; segments escaped. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Default: the agent's own. */
  readonly datacenter?: string | undefined;
  readonly body?: string;
  /** Asks without the token, as anybody could. */
  readonly anonymous?: boolean;
  /** Waits until the answer's index is beyond `index`, or `waitMs` have passed. Neither an answer nor its end means a change. */
  readonly hold?: { readonly index: number; readonly waitMs: number };
  readonly signal: AbortSignal;
}

/** An answer that is not an error: 200, and the 404 and 409 that mean something. */
export interface ConsulAnswer {
  readonly status: number;
  /** `X-Consul-Index`: grows with every change of what was asked, and falls only when the data was lost or restored. */
  readonly index: number | undefined;
  /** The token may not see all that is there. Only newer Consuls (from 1.11) say it. */
  readonly isFiltered: boolean;
  /** Throws `CONSUL_ANSWER_UNKNOWN` when it is no JSON. */
  json(): unknown;
}

/** The narrow way to Consul: one method over its HTTP API. */
export interface ConsulClient {
  /**
   * @throws PluginError `CONSUL_ACCESS_REFUSED`, `CONSUL_TOKEN_UNKNOWN`, `CONSUL_REQUEST_REFUSED` (stop), `CONSUL_NO_LEADER`,
   * `CONSUL_DATACENTER_UNREACHABLE` (retry), `CONSUL_SERVER_FAILED` (retry, a write reconcile), `CONSUL_CERTIFICATE_REFUSED` (stop),
   * and those of `requestHttp`
   */
  ask(question: ConsulQuestion): Promise<ConsulAnswer>;
}

/** What Consul's own word for it decides, and no general rule of HTTP. */
const JUDGED_HERE = [401, 403, 500];

/** Source: Consul's documentation of blocking queries: up to a sixteenth of the wait is added, so that not all wake at once. */
const WAIT_JITTER = 1 + 1 / 16;
const ANSWER_TIMEOUT_MS = 15_000;

const tlsOf = (tls: ConsulConfig['tls']): { readonly tls?: HttpTls } => {
  if (tls === undefined) return {};
  const { ca, cert, key, serverName } = tls;
  return {
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key: key.reveal() }),
      ...(serverName === undefined ? {} : { serverName }),
    },
  };
};

const urlOf = (base: string, { path, query, datacenter, hold }: ConsulQuestion): URL => {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/$/, '')}${path}`;
  for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
  if (datacenter !== undefined) url.searchParams.set('dc', datacenter);
  if (hold !== undefined) {
    url.searchParams.set('index', String(hold.index));
    url.searchParams.set('wait', `${hold.waitMs}ms`);
  }
  return url;
};

const answerOf = (what: string, answer: HttpAnswer): ConsulAnswer => {
  const index = Number(answer.headers.get('x-consul-index') ?? Number.NaN);
  return {
    status: answer.status,
    index: Number.isSafeInteger(index) ? index : undefined,
    isFiltered: answer.headers.get('x-consul-results-filtered-by-acls') === 'true',
    json: () => {
      try {
        return answer.json();
      } catch (thrown) {
        throw unknownAnswer(what, 'it is no JSON', thrown);
      }
    },
  };
};

/** Asks one agent. Keeps nothing but the config. */
export const createConsulClient = (config: Pick<ConsulConfig, 'url' | 'token' | 'tls'>): ConsulClient => ({
  async ask(question) {
    const method = question.method ?? 'GET';
    const url = urlOf(config.url, question);
    const asked = { method, what: `${method} ${url.origin}${url.pathname}`, anonymous: question.anonymous === true };
    const token = asked.anonymous ? undefined : config.token;
    let answer: HttpAnswer;
    try {
      answer = await requestHttp({
        method,
        url,
        headers: token === undefined ? {} : { 'x-consul-token': token.reveal() },
        ...(question.body === undefined ? {} : { body: question.body }),
        signal: question.signal,
        timeoutMs: Math.ceil((question.hold?.waitMs ?? 0) * WAIT_JITTER) + ANSWER_TIMEOUT_MS,
        answers: JUDGED_HERE,
        ...tlsOf(config.tls),
      });
    } catch (thrown) {
      throw connectionFailure(asked, thrown);
    }
    const failure = statusFailure(asked, answer.status, answer.text());
    if (failure !== undefined) throw failure;
    return answerOf(asked.what, answer);
  },
});
