import { createHash } from 'node:crypto';
import type { Alarm, Gate, Judgement, Lifecycle, Measurement, Received } from '@pipit/core';

/** Prometheus: a query over the canary against a threshold. No data is never a pass. */
interface PrometheusClient {
  /** GET /api/v1/query: a scalar or vector at a time. */
  query(options: {
    query: string;
    time: string;
    signal: AbortSignal;
  }): Promise<readonly { readonly metric: Readonly<Record<string, string>>; readonly value: readonly [number, string] }[]>;
}
interface PrometheusOptions {
  readonly metric: string;
  /** With `$canary` and `$baseline` for regular expressions of addresses. */
  readonly query: string;
  readonly max: number;
}

const escapeForRegex = (text: string): string => text.replaceAll(/[.\\[\]{}()*+?^$|]/g, '\\\\$&');

export const createPrometheusGate = (client: PrometheusClient): Gate<PrometheusOptions> => ({
  judge: async ({ canary, baseline, until, options }, { signal }): Promise<Judgement> => {
    const query = options.query
      .replaceAll('$canary', () => canary.map((host) => escapeForRegex(host.address)).join('|'))
      .replaceAll('$baseline', () => baseline.map((host) => escapeForRegex(host.address)).join('|'));
    const series = await client.query({ query, time: until, signal });
    const measurements = series.map(({ value: [, text] }): Measurement => {
      const value = Number(text);
      return { metric: options.metric, value: Number.isFinite(value) ? value : null, threshold: options.max };
    });
    if (measurements.length === 0 || measurements.some((each) => each.value === null))
      return {
        verdict: 'pending',
        reason: `${options.metric} has no data yet`,
        measurements: [...measurements, { metric: options.metric, value: null, threshold: options.max }],
      };
    const worst = Math.max(...measurements.map((each) => each.value ?? Number.POSITIVE_INFINITY));
    return {
      verdict: worst > options.max ? 'fail' : 'pass',
      reason: `${options.metric} is ${worst}, at most ${options.max} is well`,
      measurements,
    };
  },
});

/** Alertmanager: it tells by webhook; the gate looks at what was told, and at when it was last heard. */
interface AlertmanagerWebhook {
  readonly alerts: readonly {
    readonly status: 'firing' | 'resolved';
    readonly labels: Readonly<Record<string, string>>;
    readonly startsAt: string;
    readonly fingerprint: string;
  }[];
}

const alarmOf = ({ status, labels, startsAt, fingerprint }: AlertmanagerWebhook['alerts'][number]): Alarm => ({
  id: fingerprint,
  firing: status === 'firing',
  since: startsAt,
  labels,
});

export const createAlertmanagerGate = (config: {
  readonly tokenSha256: string;
}): { readonly gate: Gate<{ readonly matches: Readonly<Record<string, string>>; readonly silenceMinutes: number }> } & Lifecycle => ({
  gate: {
    judge: async ({ alarms, lastHeard, options }, { clock }) => {
      const firing = alarms.find(
        (alarm) => alarm.firing && Object.entries(options.matches).every(([name, value]) => alarm.labels[name] === value),
      );
      const measurements = [{ metric: 'firing alarms', value: firing === undefined ? 0 : 1, threshold: 0 }];
      if (firing !== undefined) return { verdict: 'fail', reason: `${firing.labels.alertname} fires since ${firing.since}`, measurements };
      const silentMs = lastHeard === undefined ? Number.POSITIVE_INFINITY : clock.now().getTime() - Date.parse(lastHeard);
      if (silentMs > options.silenceMinutes * 60_000)
        return { verdict: 'pending', reason: 'Alertmanager has not been heard', measurements: [{ metric: 'firing alarms', value: null }] };
      return { verdict: 'pass', reason: 'No alarm fires', measurements };
    },
  },
  receive: async ({ headers, body }): Promise<Received> => {
    const token = createHash('sha256')
      .update(headers.authorization ?? '')
      .digest('hex');
    if (token !== config.tokenSha256) return { refused: 'The token is wrong', code: 'ALERTMANAGER_TOKEN_WRONG', status: 401 };
    const { alerts } = JSON.parse(Buffer.from(body).toString('utf8')) as AlertmanagerWebhook; // the real plugin validates it
    return { accepted: alerts.map((alert) => ({ type: 'alarm', alarm: alarmOf(alert) })) };
  },
});
