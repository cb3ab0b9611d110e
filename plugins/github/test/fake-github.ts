import { createPublicKey, createVerify, generateKeyPairSync } from 'node:crypto';
import fastify, { type FastifyReply } from 'fastify';
import { z } from 'zod';
import { type RecordedAnswer, recordedAnswer } from './recorded-answers.js';

export interface FakeRepository {
  readonly id: number;
  fullName: string;
  /** Names that it had: GitHub leads on from these. */
  readonly formerly: string[];
}

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

const permissionsSchema = z.object({ permissions: z.record(z.string(), z.string()), repository_ids: z.array(z.int()).optional() });
const statusSchema = z.object({
  state: z.string(),
  context: z.string(),
  description: z.string().max(140),
  target_url: z.string().optional(),
});
const deploymentSchema = z.object({
  ref: z.string(),
  environment: z.string(),
  payload: z.unknown(),
  auto_merge: z.literal(false),
  required_contexts: z.array(z.never()),
});
const deploymentStatusSchema = z.object({ state: z.string(), description: z.string().max(140), log_url: z.string().optional() });

const decode = (part: string): unknown => JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));

/**
 * GitHub's API, as far as this plugin asks it, on a real socket: tokens, an App, repositories with renames, statuses and deployments.
 * Its answers are the recorded ones, with the numbers and names of this world.
 */
export const startFakeGithub = async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const app = { id: 77, installation: 88, privateKey: privateKey.export({ type: 'pkcs1', format: 'pem' }).toString() };
  const repositories: FakeRepository[] = [{ id: 42, fullName: 'acme/web', formerly: [] }];
  const tokens = new Set(['github_pat_good']);
  const seen: Seen[] = [];
  const statuses: {
    readonly sha: string;
    readonly state: string;
    readonly context: string;
    readonly description: string;
    readonly target_url?: string | undefined;
  }[] = [];
  const deployments: {
    readonly id: number;
    readonly sha: string;
    readonly environment: string;
    readonly payload: unknown;
    readonly states: string[];
  }[] = [];
  const world = {
    /** Answers the next calls instead, oldest first. */
    next: [] as RecordedAnswer[],
    /** How long an installation's token lives. */
    tokenLifetimeMs: 3_600_000,
    /** What the installation was given. */
    permissions: { metadata: 'read', contents: 'read', statuses: 'write', deployments: 'write' } as Record<string, string>,
    suspendedAt: null as string | null,
    /** Headers of every answer. */
    headers: {} as Record<string, string>,
    now: () => Date.now(),
  };
  const server = fastify();

  const give = (reply: FastifyReply, { status, headers, body }: Pick<RecordedAnswer, 'status' | 'headers' | 'body'>) =>
    reply
      .code(status)
      .headers({ ...headers, ...world.headers })
      .header('content-type', 'application/json; charset=utf-8')
      .send(JSON.stringify(body));
  const fail = (reply: FastifyReply, name: string) => give(reply, recordedAnswer(name));

  const isApp = (authorization: string | undefined): boolean => {
    const [header = '', payload = '', signature = ''] = (authorization ?? '').replace(/^bearer /i, '').split('.');
    if (signature === '') return false;
    const verifier = createVerify('RSA-SHA256').update(`${header}.${payload}`);
    if (!verifier.verify(createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })), Buffer.from(signature, 'base64url')))
      return false;
    const { iss, exp, iat } = z.object({ iss: z.union([z.string(), z.int()]), exp: z.int(), iat: z.int() }).parse(decode(payload));
    const nowS = world.now() / 1_000;
    return `${iss}` === `${app.id}` && iat <= nowS && exp > nowS && exp <= nowS + 600;
  };

  server.addHook('preHandler', async (request, reply) => {
    const { authorization } = request.headers;
    seen.push({ method: request.method, path: request.url, authorization, body: request.body });
    const instead = world.next.shift();
    if (instead !== undefined) return give(reply, instead);
    if (request.url.startsWith('/app/')) return isApp(authorization) ? undefined : fail(reply, 'badCredentials');
    const token = authorization?.replace(/^(?:bearer|token) /i, '');
    if (token !== undefined && !tokens.has(token)) return fail(reply, 'badCredentials');
    return undefined;
  });

  const repositoryBody = ({ id, fullName }: FakeRepository) => ({
    ...recordedAnswer('repository').body,
    id,
    full_name: fullName,
    name: fullName.split('/')[1],
  });
  const repositoryHeaders = { 'x-ratelimit-limit': '5000', 'x-ratelimit-remaining': '4999' };
  const named = ({ owner, repo }: { readonly owner: string; readonly repo: string }) => `${owner}/${repo}`.toLowerCase();
  type Named = { Params: { owner: string; repo: string; sha: string; id: string }; Querystring: { sha?: string; environment?: string } };

  server.get('/rate_limit', (_request, reply) => give(reply, { status: 200, headers: repositoryHeaders, body: { resources: {} } }));
  server.get<Named>('/repos/:owner/:repo', (request, reply) => {
    const found = repositories.find(({ fullName }) => fullName.toLowerCase() === named(request.params));
    if (found !== undefined) return give(reply, { status: 200, headers: repositoryHeaders, body: repositoryBody(found) });
    const moved = repositories.find(({ formerly }) => formerly.some((name) => name.toLowerCase() === named(request.params)));
    if (moved === undefined) return fail(reply, 'notFound');
    return give(reply, { ...recordedAnswer('repositoryMoved'), headers: { location: `/repositories/${moved.id}` } });
  });
  server.get<Named>('/repositories/:id', (request, reply) => {
    const found = repositories.find(({ id }) => `${id}` === request.params.id);
    return found === undefined
      ? fail(reply, 'notFound')
      : give(reply, { status: 200, headers: repositoryHeaders, body: repositoryBody(found) });
  });
  server.post<Named>('/repos/:owner/:repo/statuses/:sha', (request, reply) => {
    const status = statusSchema.parse(request.body);
    statuses.push({ sha: request.params.sha, ...status });
    const answer = recordedAnswer('statusCreated');
    return give(reply, { ...answer, body: { ...answer.body, ...status } });
  });
  server.get<Named>('/repos/:owner/:repo/deployments', (request, reply) => {
    const found = deployments.filter(({ sha, environment }) => sha === request.query.sha && environment === request.query.environment);
    return reply.headers(world.headers).send(found.map(({ id, sha, environment, payload }) => ({ id, sha, environment, payload })));
  });
  server.post<Named>('/repos/:owner/:repo/deployments', (request, reply) => {
    const { ref, environment, payload } = deploymentSchema.parse(request.body);
    const deployment = { id: deployments.length + 1, sha: ref, environment, payload, states: [] };
    deployments.push(deployment);
    return give(reply, { status: 201, headers: {}, body: { id: deployment.id, sha: ref, environment, payload } });
  });
  server.post<Named>('/repos/:owner/:repo/deployments/:id/statuses', (request, reply) => {
    const found = deployments.find(({ id }) => `${id}` === request.params.id);
    if (found === undefined) return fail(reply, 'notFound');
    const { state } = deploymentStatusSchema.parse(request.body);
    found.states.push(state);
    return give(reply, { status: 201, headers: {}, body: { id: found.states.length, state } });
  });
  server.get(`/app/installations/${app.installation}`, (_request, reply) =>
    give(reply, {
      status: 200,
      headers: {},
      body: { id: app.installation, permissions: world.permissions, suspended_at: world.suspendedAt },
    }),
  );
  server.post(`/app/installations/${app.installation}/access_tokens`, (request, reply) => {
    const asked = permissionsSchema.parse(request.body);
    const isGranted = Object.entries(asked.permissions).every(
      ([name, right]) => world.permissions[name] === right || world.permissions[name] === 'write',
    );
    if (!isGranted) return fail(reply, 'validationFailed');
    const token = `ghs_${seen.length}${'x'.repeat(20)}`;
    tokens.add(token);
    return give(reply, {
      status: 201,
      headers: {},
      body: {
        token,
        expires_at: new Date(world.now() + world.tokenLifetimeMs).toISOString().replace(/\.\d+/, ''),
        permissions: asked.permissions,
      },
    });
  });

  const apiUrl = await server.listen({ host: '127.0.0.1', port: 0 });
  return { apiUrl, app, repositories, tokens, seen, statuses, deployments, world, close: () => server.close() };
};

export type FakeGithub = Awaited<ReturnType<typeof startFakeGithub>>;
