import { createHash } from 'node:crypto';
import { type HookRequest, isPluginError, type Received } from '@pipit/core';
import { findByIdOrName, type GithubRepository, refOf } from './github-repositories.js';
import { mapPush } from './map-push.js';
import { parsePushBody } from './push-body.js';
import { findSigners, SIGNATURE_HEADER } from './verify-signature.js';

/** The same when GitHub, or a person, has a delivery sent again. */
const DELIVERY_HEADER = 'x-github-delivery';
const EVENT_HEADER = 'x-github-event';
/** GitHub sends a UUID. */
const DELIVERY_ID = /^[A-Za-z0-9_-]{16,64}$/;

/** Undefined for bytes that are no UTF-8, which GitHub never sends. A byte order mark stays: it was signed too. */
const decode = (body: Uint8Array): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return undefined;
  }
};

const answered = (body: string): Received => ({ accepted: [], answer: { status: 200, body } });

export interface Known {
  readonly repositories: readonly GithubRepository[];
  /** Ids that GitHub's API told, by name. */
  readonly learned: ReadonlyMap<string, string>;
}

/** Verifies one delivery and says which push it tells. It does no I/O. */
export const receiveDelivery = async ({ repositories, learned }: Known, request: HookRequest): Promise<Received> => {
  const { headers } = request;
  if (request.method !== 'POST') return { refused: 'Only POST is understood here', code: 'GITHUB_METHOD_WRONG', status: 400 };
  const contentType = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  if (contentType !== 'application/json')
    return { refused: 'The content type of the webhook must be application/json', code: 'GITHUB_CONTENT_TYPE', status: 415 };
  const signature = headers[SIGNATURE_HEADER] ?? '';
  if (signature === '')
    return {
      refused: `The header ${SIGNATURE_HEADER} is missing: the webhook has no secret`,
      code: 'GITHUB_SIGNATURE_MISSING',
      status: 401,
    };
  const body = decode(request.body);
  if (body === undefined) return { refused: 'The body is not UTF-8', code: 'GITHUB_BODY_BROKEN', status: 400 };
  const signers = await findSigners(body, signature, [...new Set(repositories.flatMap(({ secrets }) => secrets))]);
  const forged = { refused: 'The signature does not fit the body and the secret', code: 'GITHUB_SIGNATURE_WRONG', status: 401 } as const;
  if (signers.length === 0) return forged;
  const delivery = headers[DELIVERY_HEADER] ?? '';
  if (!DELIVERY_ID.test(delivery))
    return { refused: `The header ${DELIVERY_HEADER} must be an id such as a UUID`, code: 'GITHUB_DELIVERY_MISSING', status: 400 };
  const event = headers[EVENT_HEADER] ?? '';
  if (event === 'ping') return answered('pong: the secret fits');
  if (event !== 'push') return answered('only pushes are of interest here');

  const push = parsePushBody(body);
  if ('problem' in push) return { refused: push.problem, code: 'GITHUB_BODY_BROKEN', status: 400 };
  const id = `${push.repository.id}`;
  const repository = findByIdOrName(repositories, { id, name: push.repository.full_name }, learned);
  if (repository === undefined) return { refused: 'The config names no such repository', code: 'GITHUB_REPOSITORY_UNKNOWN', status: 404 };
  // The secret of one repository must not sign for another.
  if (!repository.secrets.some((secret) => signers.includes(secret))) return forged;
  try {
    const key = `push:${createHash('sha256').update(request.body).digest('hex')}`;
    const change = mapPush(push, refOf(repository, id), { key, delivery });
    if (change === undefined)
      return { refused: 'The body names no commit, neither before nor after', code: 'GITHUB_BODY_BROKEN', status: 400 };
    return { accepted: [{ type: 'change', event: change }] };
  } catch (thrown) {
    if (!isPluginError(thrown)) throw thrown;
    return { refused: thrown.message, code: 'GITHUB_BODY_BROKEN', status: 400 };
  }
};
