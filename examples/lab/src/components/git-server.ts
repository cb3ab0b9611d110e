import { spawn } from 'node:child_process';
import { timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { runCommand } from '../run-command.js';
import { createDeliveries, type GitDelivery, type GitHook } from './git-webhook.js';
import { diffRefs, type GitRepository, pushPayload, readRefs, repositoryPayload } from './push-payload.js';

/** How the lab's git server is set up. */
export interface GitServerOptions {
  /** Where the bare repositories are kept; what is there is served again. */
  readonly folder: string;
  /** Default 127.0.0.1. Give the lab's bridge address where hosts are to clone. */
  readonly address?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** The password, under any name, that clones and pushes need. Default: none is asked for. */
  readonly token?: string;
}

/** A repository to serve. */
export interface GitRepositoryOptions {
  /** `acme/shop`. */
  readonly fullName: string;
  /** GitHub's number of it. Default: counted from 1000. */
  readonly id?: number;
  /** Default `main`. */
  readonly defaultBranch?: string;
  readonly hooks?: readonly GitHook[];
}

/** A git server that tells its hooks of pushes as GitHub does. */
export interface GitServer {
  /** Without a closing slash. */
  readonly url: string;
  /** Makes a repository, or opens the one of that name in the folder. Its hooks are told a `ping`, as a new hook at GitHub is. */
  readonly addRepository: (options: GitRepositoryOptions) => Promise<GitRepository>;
  /** Whether hooks are told. Switched off, a push goes untold, as when GitHub's delivery is lost. Default true. */
  readonly setTelling: (on: boolean) => void;
  /** All that was told, oldest first. */
  readonly deliveries: () => readonly GitDelivery[];
  /** Tells a delivery again, with the same id. */
  readonly redeliver: (id: string) => Promise<GitDelivery>;
  /** Harmless when repeated. */
  readonly stop: () => Promise<void>;
}

const FULL_NAME = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
const PATH = /^\/([^/]+\/[^/]+)\.git(\/(?:info\/refs|git-upload-pack|git-receive-pack))$/;
const FIRST_ID = 1000;

const passwordOf = (request: IncomingMessage): { readonly user: string; readonly password: string } => {
  const [scheme, value = ''] = (request.headers.authorization ?? '').split(' ');
  if (scheme?.toLowerCase() !== 'basic') return { user: '', password: '' };
  const text = Buffer.from(value, 'base64').toString('utf8');
  return { user: text.slice(0, text.indexOf(':')), password: text.slice(text.indexOf(':') + 1) };
};

const isSame = (given: string, expected: string): boolean => {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
};

/** Lets git's own CGI program answer. */
const answerByGit = async (root: string, request: IncomingMessage, response: ServerResponse, path: string, query: string, user: string) => {
  const child = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env.PATH ?? '',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: path,
      QUERY_STRING: query,
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_USER: user || 'someone',
      REMOTE_ADDR: request.socket.remoteAddress ?? '',
    },
  });
  const closed = once(child, 'close');
  child.stdin.on('error', () => request.destroy());
  request.pipe(child.stdin);
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(Buffer.from(chunk as Uint8Array));
  await closed;
  const output = Buffer.concat(chunks);
  const end = output.indexOf('\r\n\r\n');
  for (const line of output.subarray(0, Math.max(end, 0)).toString('latin1').split('\r\n')) {
    const [name = '', value = ''] = line.split(/:\s*/, 2);
    if (name.toLowerCase() === 'status') response.statusCode = Number.parseInt(value, 10);
    else if (name !== '') response.setHeader(name, line.slice(line.indexOf(':') + 1).trim());
  }
  if (end < 0) response.statusCode = 500;
  return output.subarray(end + 4);
};

/**
 * Serves bare repositories by git's smart HTTP protocol, and tells each repository's hooks of every ref that a push changed, in GitHub's form and
 * signed as GitHub signs, after the push was answered. Needs git.
 */
export const startGitServer = async (options: GitServerOptions): Promise<GitServer> => {
  const { folder, address = '127.0.0.1', port = 0, token } = options;
  const repositories = new Map<string, { readonly repository: GitRepository; readonly hooks: readonly GitHook[] }>();
  const deliveries = createDeliveries();
  const working = new Set<Promise<unknown>>();
  let telling = true;
  await mkdir(folder, { recursive: true });

  const tellPush = async (name: string, before: ReadonlyMap<string, string>, pusher: string): Promise<void> => {
    const found = repositories.get(name);
    if (found === undefined || !telling) return;
    for (const update of diffRefs(before, await readRefs(found.repository))) {
      const payload = await pushPayload(found.repository, update, pusher);
      await Promise.all(found.hooks.map((hook) => deliveries.deliver('push', found.repository.fullName, hook, payload)));
    }
  };

  // One push at a time in a repository: what changed is seen by comparing its refs.
  const pushes = new Map<string, Promise<void>>();
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://lab');
    const [, name = '', action = ''] = PATH.exec(pathname) ?? [];
    const found = repositories.get(name.toLowerCase());
    const { user, password } = passwordOf(request);
    if (token !== undefined && !isSame(password, token)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="lab"' }).end();
      return;
    }
    if (found === undefined) {
      response.writeHead(404).end();
      return;
    }
    const path = `/${found.repository.fullName}.git${action}`;
    const answer = () => answerByGit(folder, request, response, path, search.slice(1), user);
    if (action !== '/git-receive-pack') {
      response.end(await answer());
      return;
    }
    const key = name.toLowerCase();
    const push = (pushes.get(key) ?? Promise.resolve()).then(async () => {
      const before = await readRefs(found.repository);
      response.end(await answer());
      await tellPush(key, before, user || 'someone');
    });
    pushes.set(
      key,
      push.catch(() => undefined),
    );
    await push;
  };

  const server = createServer((request, response) => {
    const work = handle(request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
    working.add(work);
    void work.finally(() => working.delete(work));
  });
  server.listen(port, address);
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error(`No port at ${address}`);
  const url = `http://${address}:${bound.port}`;

  return {
    url,
    addRepository: async ({ fullName, id, defaultBranch = 'main', hooks = [] }) => {
      if (!FULL_NAME.test(fullName)) throw new Error(`Not a repository's name: ${fullName}`);
      const bare = join(folder, `${fullName}.git`);
      await runCommand(['git', 'init', '--quiet', '--bare', `--initial-branch=${defaultBranch}`, bare]);
      await runCommand(['git', '-C', bare, 'config', 'http.receivepack', 'true']);
      // pipit asks for exact commits, as GitHub lets it.
      await runCommand(['git', '-C', bare, 'config', 'uploadpack.allowAnySHA1InWant', 'true']);
      const repository = {
        id: id ?? FIRST_ID + repositories.size,
        fullName,
        defaultBranch,
        folder: bare,
        cloneUrl: `${url}/${fullName}.git`,
      };
      repositories.set(fullName.toLowerCase(), { repository, hooks });
      const ping = { zen: 'Real hosts over fakes.', hook_id: 1, repository: repositoryPayload(repository) };
      if (telling) await Promise.all(hooks.map((hook) => deliveries.deliver('ping', fullName, hook, ping)));
      return repository;
    },
    setTelling: (on) => {
      telling = on;
    },
    deliveries: deliveries.list,
    redeliver: deliveries.redeliver,
    stop: async () => {
      if (!server.listening) return;
      server.close();
      server.closeIdleConnections();
      await Promise.all(working);
      server.closeAllConnections();
    },
  };
};
