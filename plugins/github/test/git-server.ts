import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type CommitSha, parseCommitSha } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import { createTemporaryFolder } from '@pipit/plugin-testing';

const who = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
};

export const git = async (cwd: string, ...argv: readonly string[]): Promise<string> => {
  const { exitCode, stdout, stderr } = await runCommand(['git', ...argv], { cwd, env: { ...minimalEnvironment(cwd), ...who } });
  if (exitCode !== 0) throw new Error(`git ${argv.join(' ')}: ${stderr}`);
  return stdout.trim();
};

/** Runs git's own http-backend (CGI, RFC 3875) for one request. */
const serveGit = async (root: string, execPath: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const url = new URL(request.url ?? '/', 'http://git');
  const child = spawn(join(execPath, 'git-http-backend'), {
    env: {
      ...minimalEnvironment(root),
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_USER: 'x-access-token',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  const chunks: Buffer[] = [];
  for await (const chunk of child.stdout) chunks.push(chunk as Buffer); // a pipe without an encoding gives buffers
  const answer = Buffer.concat(chunks);
  const end = answer.indexOf('\r\n\r\n');
  const headers = answer
    .subarray(0, end)
    .toString('latin1')
    .split('\r\n')
    .map((line) => line.split(': ') as [string, string]); // as CGI writes them
  const status = Number(headers.find(([name]) => name === 'Status')?.[1]?.slice(0, 3) ?? 200);
  response.writeHead(status, Object.fromEntries(headers.filter(([name]) => name !== 'Status'))).end(answer.subarray(end + 4));
};

export interface GitServerOptions {
  /** What `Authorization: Basic` has to hold; absent: anybody reads. */
  readonly isAllowed?: (password: string) => boolean;
}

/**
 * A git server over HTTP on loopback, as GitHub's: bare repositories behind git's own backend, which asks for a token. Pushes come from a clone of its
 * first repository, `acme/web`, beside it.
 */
export const startGitServer = async ({ isAllowed }: GitServerOptions = {}) => {
  const folder = await createTemporaryFolder();
  const root = join(folder.path, 'srv');
  const bare = join(root, 'acme/web.git');
  const clone = join(folder.path, 'clone');
  const home = join(folder.path, 'home');
  for (const each of [join(root, 'acme'), clone, home]) await mkdir(each, { recursive: true });
  await git(root, 'init', '--quiet', '--bare', '--initial-branch=main', bare);
  await git(clone, 'init', '--quiet', '--initial-branch=main');
  await git(clone, 'remote', 'add', 'origin', bare);
  const execPath = await git(root, '--exec-path');
  const passwords: string[] = [];
  const server = createServer((request, response) => {
    const [, encoded = ''] = /^Basic (.*)$/.exec(request.headers.authorization ?? '') ?? [];
    const [, password = ''] = /^x-access-token:(.*)$/.exec(Buffer.from(encoded, 'base64').toString('utf8')) ?? [];
    if (password !== '') passwords.push(password);
    if (isAllowed !== undefined && !isAllowed(password)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="GitHub"' }).end();
      return;
    }
    void serveGit(root, execPath, request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server's address is this
  let count = 0;
  return {
    url: `http://127.0.0.1:${port}`,
    root,
    bare,
    home,
    /** The passwords that were given, oldest first. */
    passwords,
    async commit(): Promise<CommitSha> {
      count += 1;
      await writeFile(join(clone, 'file'), `${count}\n`);
      await git(clone, 'add', '--all');
      await git(clone, 'commit', '--quiet', '--message', `Change ${count}`);
      return parseCommitSha(await git(clone, 'rev-parse', 'HEAD'));
    },
    push: (...argv: readonly string[]) => git(clone, 'push', '--quiet', 'origin', ...argv),
    inClone: (...argv: readonly string[]) => git(clone, ...argv),
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await folder.remove();
    },
  };
};

export type GitServer = Awaited<ReturnType<typeof startGitServer>>;
