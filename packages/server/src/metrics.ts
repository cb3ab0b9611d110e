import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Logger } from '@pipit/core';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { RuntimeMetric, ServedRuntime } from './served-runtime.js';

export interface Metrics {
  readonly contentType: string;
  /** @param route the pattern and never the path: a path may hold a secret, and would make a series of its own */
  observeRequest(request: { readonly method: string; readonly route: string; readonly status: number; readonly seconds: number }): void;
  countRefusal(code: string): void;
  streamOpened(): void;
  streamClosed(): void;
  /** In the text format of Prometheus. */
  render(): Promise<string>;
  dispose(): void;
}

const NANOSECONDS = 1e9;
const LAG_RESOLUTION_MS = 20;

/** The runtime's own counts, whose values are absolute: a registry of one scrape. */
const renderRuntimeMetrics = async (metrics: readonly RuntimeMetric[]): Promise<string> => {
  const registry = new Registry();
  for (const name of new Set(metrics.map((metric) => metric.name))) {
    const group = metrics.filter((metric) => metric.name === name);
    const [first] = group;
    if (first === undefined) continue;
    const labelNames = [...new Set(group.flatMap((metric) => Object.keys(metric.labels)))];
    const options = { name, help: first.help, labelNames, registers: [registry] };
    if (first.type === 'counter') {
      const counter = new Counter(options);
      for (const metric of group) counter.inc(metric.labels, metric.value);
    } else {
      const gauge = new Gauge(options);
      for (const metric of group) gauge.set(metric.labels, metric.value);
    }
  }
  return registry.metrics();
};

/** Everything that `/metrics` tells. Each server has a registry of its own: the global one would mix two servers of one process. */
export const createMetrics = ({
  runtime,
  logger,
}: {
  readonly runtime: Pick<ServedRuntime, 'readMetrics'>;
  readonly logger: Logger;
}): Metrics => {
  const registry = new Registry();
  const registers = [registry];
  const durations = new Histogram({
    name: 'pipit_http_request_duration_seconds',
    help: 'Time from the first byte of a request to the end of its answer, live streams left out',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30],
    registers,
  });
  const refusals = new Counter({
    name: 'pipit_http_refused_deliveries_total',
    help: 'Deliveries refused at the door, by error code; counted also where the audit trail leaves them out',
    labelNames: ['code'],
    registers,
  });
  const streams = new Gauge({ name: 'pipit_http_live_streams', help: 'Readers of /api/changes', registers });
  const runtimeUp = new Gauge({ name: 'pipit_runtime_metrics_up', help: "1 when the runtime's own metrics could be read", registers });
  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  lag.enable();
  new Gauge({
    name: 'pipit_event_loop_lag_seconds',
    help: 'How late the event loop came, since the last scrape',
    labelNames: ['quantile'],
    registers,
    collect() {
      this.set({ quantile: '0.5' }, lag.percentile(50) / NANOSECONDS);
      this.set({ quantile: '0.99' }, lag.percentile(99) / NANOSECONDS);
      this.set({ quantile: '1' }, lag.max / NANOSECONDS);
      lag.reset();
    },
  });
  new Gauge({
    name: 'pipit_resident_memory_bytes',
    help: 'Memory of the process',
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });

  return {
    contentType: registry.contentType,
    observeRequest: ({ method, route, status, seconds }) => durations.observe({ method, route, status }, seconds),
    countRefusal: (code) => refusals.inc({ code }),
    streamOpened: () => streams.inc(),
    streamClosed: () => streams.dec(),
    render: async () => {
      let ofRuntime = '';
      try {
        ofRuntime = await renderRuntimeMetrics(await runtime.readMetrics());
        runtimeUp.set(1);
      } catch (error) {
        // Whoever watches must see the server's part just when the database is away.
        logger.warn({ err: error }, 'The metrics of the runtime could not be read');
        runtimeUp.set(0);
      }
      return `${await registry.metrics()}${ofRuntime}`;
    },
    dispose: () => {
      lag.disable();
      registry.clear();
    },
  };
};
