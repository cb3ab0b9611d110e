import { createSecret, type HookRequest } from '@pipit/core';
import { createTestLogger } from '@pipit/plugin-testing';
import { createLocalTrigger } from '../src/local-trigger.js';
import { signBody } from '../src/local-trigger-signature.js';

export const secret = createSecret('a secret of the webhook');
export const sha = (digit: string) => digit.repeat(40);
export const push = {
  repository: { name: 'acme/web', url: 'file:///elsewhere' },
  ref: 'refs/heads/main',
  before: sha('1'),
  after: sha('2'),
};

export const delivery = (body: unknown, headers: Record<string, string> = {}, signer = secret): HookRequest => {
  const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
  return {
    method: 'POST',
    query: {},
    headers: {
      'content-type': 'application/json',
      'x-pipit-signature-256': signBody(bytes, signer),
      'x-pipit-delivery': '11111111-2222-3333-4444-555555555555',
      ...headers,
    },
    body: bytes,
    remoteAddress: '127.0.0.1',
  };
};

export const without = (request: HookRequest, header: string): HookRequest => ({
  ...request,
  headers: Object.fromEntries(Object.entries(request.headers).filter(([name]) => name !== header)),
});

export const openTrigger = (path: string, options: { readonly branches?: readonly string[]; readonly previous?: string } = {}) =>
  createLocalTrigger({
    repositories: [{ name: 'acme/web', path, branches: options.branches ?? ['main'] }],
    secrets: [secret, ...(options.previous === undefined ? [] : [createSecret(options.previous)])],
    logger: createTestLogger(),
  });
