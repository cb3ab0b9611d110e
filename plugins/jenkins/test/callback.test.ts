import { createSecret, type HookRequest } from '@pipit/core';
import { describe, expect, it } from 'vitest';
import { receiveCallback } from '../src/callback.js';
import { NAMES } from './support/sample-jenkins.js';

const SECRET = 'callback-secret-of-the-test';
const OLD = 'the-secret-before-this-one';
const options = { secrets: [createSecret(SECRET), createSecret(OLD)], names: NAMES };
const sha = 'c6d86dc654b12425e706bcf951adfe5a8627a517';

const hook = (body: string, given: Partial<HookRequest> = {}): HookRequest => ({
  method: 'POST',
  query: {},
  headers: { 'x-pipit-secret': SECRET, 'content-type': 'application/x-www-form-urlencoded', ...given.headers },
  body: Buffer.from(body),
  remoteAddress: '127.0.0.1',
  ...('query' in given ? { query: given.query ?? {} } : {}),
  ...('method' in given ? { method: given.method ?? '' } : {}),
});

/** Its shape is what the plugin's own page shows, with a parameter added. */
const notification = (phase: string, parameters?: Readonly<Record<string, string>>) =>
  JSON.stringify({
    name: 'shop',
    url: 'job/shop/',
    build: {
      full_url: 'http://localhost:8080/job/shop/18/',
      number: 18,
      phase,
      status: 'SUCCESS',
      url: 'job/shop/18/',
      scm: { url: 'https://example.org/acme/shop.git', branch: 'origin/main', commit: sha },
      ...(parameters === undefined ? {} : { parameters }),
      artifacts: {},
    },
  });

const build = { type: 'build', key: 'run:build:1', commit: sha };

describe('a callback', () => {
  it.each([
    ['a form', hook(`key=run%3Abuild%3A1&commit=${sha}`)],
    ['JSON', hook(JSON.stringify({ key: 'run:build:1', commit: sha }), { headers: { 'content-type': 'application/json' } })],
    [
      'the Notification plugin',
      hook(notification('FINALIZED', { PIPIT_KEY: 'run:build:1' }), { headers: { 'content-type': 'application/json' } }),
    ],
  ])('is a hint when it comes as %s', (_form, request) => {
    expect(receiveCallback(request, options)).toEqual({ accepted: [build] });
    expect(receiveCallback(request, options), 'the same one again').toEqual({ accepted: [build] });
  });

  it('names the commit where no key is known', () => {
    expect(receiveCallback(hook(notification('FINALIZED')), options)).toEqual({ accepted: [{ type: 'build', commit: sha }] });
  });

  it.each(['QUEUED', 'STARTED', 'COMPLETED'])('of the phase %s is answered and ignored', (phase) => {
    expect(receiveCallback(hook(notification(phase)), options)).toEqual({ accepted: [] });
  });

  it.each([
    ['the old header', hook('key=a', { headers: { 'x-pipit-secret': OLD } })],
    ['the query', { ...hook('key=a', { query: { secret: SECRET } }), headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
    ['a bearer', { ...hook('key=a'), headers: { authorization: `Bearer ${SECRET}`, 'content-type': 'application/x-www-form-urlencoded' } }],
    ['the form', { ...hook(`key=a&secret=${SECRET}`), headers: { 'content-type': 'application/x-www-form-urlencoded' } }],
  ])('may bring the secret in %s', (_where, request) => {
    expect(receiveCallback(request, options)).toEqual({ accepted: [{ type: 'build', key: 'a' }] });
  });

  it.each([
    ['no secret', { ...hook('key=a'), headers: {} }, 'JENKINS_CALLBACK_SECRET_WRONG', 401],
    ['a wrong secret', hook('key=a', { headers: { 'x-pipit-secret': `${SECRET}x` } }), 'JENKINS_CALLBACK_SECRET_WRONG', 401],
    [
      'a right secret beside a wrong header',
      hook(`key=a&secret=${SECRET}`, { headers: { 'x-pipit-secret': 'x' } }),
      'JENKINS_CALLBACK_SECRET_WRONG',
      401,
    ],
    ['no key', hook('number=3'), 'JENKINS_CALLBACK_BROKEN', 400],
    ['broken JSON', hook('{"key":'), 'JENKINS_CALLBACK_BROKEN', 400],
    ['another method', hook('key=a', { method: 'GET' }), 'JENKINS_CALLBACK_BROKEN', 400],
    ['too much', hook('x'.repeat(1024 * 1024 + 1)), 'JENKINS_CALLBACK_TOO_LARGE', 413],
  ])('with %s is refused', (_what, request, code, status) => {
    expect(receiveCallback(request, options)).toMatchObject({ code, status });
  });

  it('is refused where the config has no secret', () => {
    expect(receiveCallback(hook('key=a'), { ...options, secrets: [] })).toMatchObject({ code: 'JENKINS_CALLBACK_OFF', status: 403 });
  });
});
