import { PluginError } from '@pipit/core';
import { register } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { FakeRuntime } from './support/fake-runtime.js';
import { rawRequest } from './support/raw-request.js';
import { serve } from './support/serve.js';

const get = (url: string, method = 'GET') => rawRequest(url, { method });

describe('/healthz', () => {
  it('says that the process is up, to HEAD too, and while draining', async () => {
    const { url, server } = await serve();
    expect((await get(`${url}/healthz`)).json()).toEqual({ status: 'ok', version: '1.2.3' });
    expect(await get(`${url}/healthz`, 'HEAD')).toMatchObject({ status: 200, text: '' });
    server.drain();
    expect(await get(`${url}/healthz`)).toMatchObject({ status: 200 });
  });
});

describe('/readyz', () => {
  it.each<[string, Partial<FakeRuntime['healthNow']>, number, object]>([
    ['well', {}, 200, { ready: true, quarantine: null }],
    ['stopping', { stopping: true, ready: false }, 503, { ready: false, draining: true }],
    ['without its database', { database: false, ready: false }, 503, { ready: false, database: false }],
    ['not ready for a reason of its own', { ready: false }, 503, { ready: false }],
    ['in quarantine', { ready: false, quarantine: 'a sequence beyond ours' }, 200, { ready: true, quarantine: 'a sequence beyond ours' }],
  ])('of a runtime that is %s', async (_what, changes, status, body) => {
    const { url, runtime } = await serve();
    runtime.healthNow = { ...runtime.healthNow, ...changes };
    const answer = await get(`${url}/readyz`);
    expect(answer.status).toBe(status);
    expect(answer.json()).toMatchObject(body);
  });

  it('is 503 while draining, and when the runtime throws', async () => {
    const { url, runtime, server } = await serve();
    runtime.health = () => Promise.reject(new PluginError({ code: 'X_Y', message: 'no', recovery: 'retry' }));
    expect(await get(`${url}/readyz`)).toMatchObject({ status: 503 });
    runtime.health = async () => runtime.healthNow;
    expect(await get(`${url}/readyz`)).toMatchObject({ status: 200 });
    server.drain();
    const answer = await get(`${url}/readyz`);
    expect(answer.status).toBe(503);
    expect(answer.json()).toMatchObject({ ready: false, draining: true });
  });

  it('is 503 when the runtime does not answer', async () => {
    const { url, runtime } = await serve();
    runtime.health = () => new Promise(() => undefined);
    const answer = await get(`${url}/readyz`);
    expect(answer.status).toBe(503);
    expect(answer.text).toContain('no answer within');
  });
});

describe('/metrics', () => {
  it('counts requests by route pattern and never by path', async () => {
    const { url } = await serve();
    for (const run of ['web-1', 'web-2', 'secret-99']) await get(`${url}/api/runs/${run}?`);
    await get(`${url}/no/such/path`);
    const { text, headers } = await get(`${url}/metrics`);
    expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(text).toContain('pipit_http_request_duration_seconds_count{method="GET",route="/api/runs/:id",status="200"} 2');
    expect(text).toContain('pipit_http_request_duration_seconds_count{method="GET",route="/api/runs/:id",status="404"} 1');
    expect(text).toContain('pipit_http_request_duration_seconds_count{method="GET",route="unmatched",status="404"} 1');
    expect(text).not.toMatch(/secret-99|no\/such/);
    expect(text).toMatch(/pipit_event_loop_lag_seconds\{quantile="0\.99"\} [0-9.e-]+/);
    expect(text).toMatch(/pipit_resident_memory_bytes [0-9]+/);
  });

  it("adds the runtime's own, as they are", async () => {
    const { url, runtime } = await serve();
    const shared = { name: 'pipit_runs', help: 'Runs by state', type: 'gauge' as const };
    runtime.metrics = [
      { ...shared, labels: { state: 'active' }, value: 2 },
      { ...shared, labels: { state: 'waiting', ring: 'canary' }, value: 1 },
      { name: 'pipit_events_total', help: 'Events', type: 'counter', labels: {}, value: 12 },
    ];
    for (let scrape = 0; scrape < 2; scrape += 1) {
      const { text } = await get(`${url}/metrics`);
      expect(text).toContain('# TYPE pipit_runs gauge');
      expect(text).toContain('pipit_runs{state="active"} 2');
      expect(text).toContain('pipit_runs{state="waiting",ring="canary"} 1');
      expect(text).toContain('pipit_events_total 12');
      expect(text).toContain('pipit_runtime_metrics_up 1');
      expect(text.split('# TYPE pipit_runs ')).toHaveLength(2);
    }
  });

  it("shows the server's part when the runtime's cannot be read", async () => {
    const { url, runtime } = await serve();
    runtime.broken = new Error('database away');
    const { status, text } = await get(`${url}/metrics`);
    expect(status).toBe(200);
    expect(text).toContain('pipit_runtime_metrics_up 0');
  });

  it('keeps two servers of one process apart, and out of the global registry', async () => {
    const [one, other] = [await serve(), await serve()];
    await rawRequest(`${one.url}/hooks/nobody`, { method: 'POST', body: 'x' });
    expect((await get(`${one.url}/metrics`)).text).toContain('pipit_http_refused_deliveries_total{code="INSTANCE_UNKNOWN"} 1');
    expect((await get(`${other.url}/metrics`)).text).not.toContain('INSTANCE_UNKNOWN');
    expect(await register.getMetricsAsJSON()).toEqual([]);
  });
});
