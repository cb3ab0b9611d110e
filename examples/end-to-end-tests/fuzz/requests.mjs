import { createHmac } from 'node:crypto';
import { oddJson, oddPart, oddText } from './odd-values.mjs';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH', 'M-SEARCH'];
const CONTENT_TYPES = [
  'application/json',
  'application/json; charset=utf-16',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'a',
  '',
  'application/json;;;',
  '__proto__/x',
];
/** Routes that start programs: fewer of these, or nothing else would be tried. */
const HEAVY = new Set(['/api/doctor', '/api/plan', '/api/apps/{app}/hosts']);
const HEAVY_SHARE = 0.02;
/** Signed deliveries of the real repository make events that git looks at. */
const SIGNED_SHARE = 0.4;

/** Every route that the server describes, and paths that it has not. */
export const listRoutes = (document) =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  );

const valueFor = (random, name, known) => {
  if (random.chance(0.4)) return encodeURIComponent(random.pick(known[name] ?? known.any));
  return oddPart(random);
};

const queryFor = (random, operation, known) => {
  const names = (operation.parameters ?? []).filter((each) => each.in === 'query').map((each) => each.name);
  const pairs = names
    .filter((name) => random.chance(name === 'repository' || name === 'ref' ? 0.9 : 0.4))
    .map((name) => `${name}=${valueFor(random, name, known)}`);
  if (random.chance(0.1)) pairs.push(`${oddPart(random)}=${oddPart(random)}`);
  if (random.chance(0.05) && pairs.length > 0) pairs.push(pairs[0]);
  if (random.chance(0.02)) pairs.push(Array.from({ length: 500 }, (_, at) => `a${at}[]=1`).join('&'));
  if (random.chance(0.02)) pairs.push('&&&===;;;#');
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
};

const bodyFor = (random, operation, known) => {
  const schema = operation.requestBody?.content?.['application/json']?.schema;
  const kind = random.below(12);
  if (kind === 0) return undefined;
  if (kind === 1) return Buffer.from('['.repeat(1 + random.below(20_000)));
  if (kind === 2) return Buffer.from(`${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}`);
  if (kind === 3) return random.bytes(random.below(2_000));
  if (kind === 4) return Buffer.from(JSON.stringify({ reason: 'x'.repeat(random.pick([900, 1_001, 60_000, 70_000, 300_000])) }));
  if (kind === 5) return Buffer.from('{"__proto__":{"app":"x"},"constructor":{"prototype":{}},"reason":"\\ud800\\u0000"}');
  if (kind === 6) return Buffer.from(JSON.stringify(oddJson(random)));
  const properties = Object.keys(schema?.properties ?? { reason: {} });
  const given = properties
    .filter(() => random.chance(0.7))
    .map((name) => [
      name,
      random.chance(0.5) ? random.pick(known[name] ?? known.any) : random.chance(0.5) ? oddText(random) : oddJson(random),
    ]);
  return Buffer.from(JSON.stringify(Object.fromEntries(given)));
};

const hookBody = (random, known) => {
  const oddly = (value) => (random.chance(0.15) ? oddJson(random) : value);
  const delivery = random.chance(0.7) ? random.bytes(16).toString('hex') : oddText(random);
  const body = {
    repository: oddly({ name: oddly(known.repository[0]) }),
    ref: oddly(random.pick(['refs/heads/other', 'refs/heads/main', 'refs/tags/v1', 'main'])),
    before: oddly('0'.repeat(40)),
    after: oddly(random.bytes(20).toString('hex')),
    delivery: oddly(delivery),
    ...(random.chance(0.1) ? { [oddText(random)]: oddJson(random) } : {}),
  };
  return { delivery, bytes: Buffer.from(JSON.stringify(body)) };
};

const headerText = (random) => oddText(random).replace(/[^\t\x20-\x7e\x80-\xff]/g, '?');

const hookHeaders = (random, { delivery, bytes }, secret) => {
  const signature = `sha256=${createHmac('sha256', secret).update(bytes).digest('hex')}`;
  return {
    'content-type': random.chance(0.9) ? 'application/json' : random.pick(CONTENT_TYPES),
    'x-pipit-delivery': random.chance(0.9) ? delivery.replace(/[^\t\x20-\x7e\x80-\xff]/g, '?') : headerText(random),
    'x-pipit-signature-256': random.chance(SIGNED_SHARE)
      ? signature
      : random.pick(['', 'sha256=', `sha256=${'0'.repeat(64)}`, headerText(random)]),
  };
};

const authorizationFor = (random, tokens) => {
  const kind = random.below(10);
  if (kind < 2) return {};
  if (kind < 8) return { authorization: `Bearer ${random.pick(Object.values(tokens))}` };
  return {
    authorization: random.pick([
      'Bearer',
      'Bearer ',
      'Basic YTpi',
      `Bearer ${'x'.repeat(600)}`,
      `Bearer pipit_${'a'.repeat(43)}`,
      `Bearer pipit_abcdefghijkl_${'a'.repeat(43)}`,
      `bearer ${tokens.read} `,
      headerText(random),
    ]),
  };
};

const oddHeaders = (random) => {
  const headers = {};
  if (random.chance(0.05)) headers['x-forwarded-for'] = headerText(random);
  if (random.chance(0.05)) headers['x-forwarded-host'] = 'evil.example.org';
  if (random.chance(0.05)) headers.origin = random.pick(['null', 'https://evil.example.org']);
  if (random.chance(0.05)) headers['last-event-id'] = headerText(random);
  if (random.chance(0.05)) headers.accept = headerText(random);
  if (random.chance(0.03)) headers.range = 'bytes=0-1,2-3';
  if (random.chance(0.03)) headers['accept-encoding'] = headerText(random);
  if (random.chance(0.03)) headers['content-encoding'] = random.pick(['gzip', 'br', 'x']);
  if (random.chance(0.02)) headers.cookie = 'a=b'.repeat(random.below(2_000));
  if (random.chance(0.02)) headers['x-http-method-override'] = 'DELETE';
  return headers;
};

/** Bytes that no client of HTTP sends. */
const malformed = (random, tokens) =>
  random.pick([
    () => random.bytes(1 + random.below(400)),
    () => `GET /api/apps HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nAuthorization: Bearer ${tokens.read}\r\n\r\n`,
    () => `GET /api/apps HTTP/1.1\r\nAuthorization: Bearer ${tokens.read}\r\n\r\n`,
    () => `GET http://${oddText(random).replace(/\s/g, '')}/hooks/local?a=1 HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    () => `GET ${oddText(random)} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokens.read}\r\n\r\n`,
    () => `GET /${oddText(random)}?${oddText(random)} HTTP/1.1\r\nHost: ${oddText(random)}\r\n\r\n`,
    () =>
      `POST /api/reconcile HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokens.admin}\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    () => `POST /hooks/local HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nshort`,
    () => `POST /hooks/local HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\nx`,
    () => `GET /healthz HTTP/1.0\r\n\r\n`,
    () => `GET /api/apps HTTP/9.9\r\nHost: localhost\r\n\r\n`,
    () => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`,
    () => `GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`,
    () => `CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n`,
    () =>
      `GET /api/changes HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nAuthorization: Bearer ${tokens.read}\r\n\r\n`,
  ])();

/**
 * The next request, made of chance alone: the same for the same seed, tokens and server. `raw`: bytes for a socket; else a request for node:http.
 */
export const makeRequest = (random, { routes, tokens, known, secret }) => {
  // Another address each time: what is limited for each network must not end the campaign.
  const from = `127.9.${random.below(4)}.${1 + random.below(250)}`;
  if (random.chance(0.04)) return { from, raw: malformed(random, tokens) };
  let route = random.pick(routes);
  while (HEAVY.has(route.path) && !random.chance(HEAVY_SHARE)) route = random.pick(routes);
  const { operation } = route;
  const method = random.chance(0.93) ? route.method : random.pick(METHODS);
  const path = random.chance(0.03)
    ? `/${oddPart(random)}/${oddPart(random)}`
    : route.path.replace(/\{(\w+)\}/g, (_all, name) =>
        name === 'instance' && random.chance(0.7) ? 'local' : valueFor(random, name, known),
      );
  const isHook = route.path.startsWith('/hooks/');
  const delivery = isHook && random.chance(0.8) ? hookBody(random, known) : undefined;
  const mayHaveBody = method !== 'GET' && method !== 'HEAD' && method !== 'TRACE';
  const body = delivery?.bytes ?? (mayHaveBody || random.chance(0.02) ? bodyFor(random, operation, known) : undefined);
  const headers = {
    ...(random.chance(0.03)
      ? {
          host: random.pick([
            'evil.example.org',
            'localhost',
            '127.0.0.1.evil.example.org',
            '[::1]',
            'localhost:99999999',
            headerText(random),
          ]),
        }
      : {}),
    ...authorizationFor(random, tokens),
    ...(body === undefined ? {} : { 'content-type': random.chance(0.9) ? 'application/json' : random.pick(CONTENT_TYPES) }),
    ...(delivery === undefined ? {} : hookHeaders(random, delivery, secret)),
    ...oddHeaders(random),
  };
  return {
    from,
    method,
    path: `${path}${queryFor(random, operation, known)}`,
    route: `${route.method} ${route.path}`,
    headers,
    body,
    chunked: body !== undefined && random.chance(0.1),
  };
};
