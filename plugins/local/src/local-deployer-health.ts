import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { assertNever, type HealthCheck, type Host, type Sandbox } from '@pipit/core';
import { runCommand } from '@pipit/plugin-kit';
import { hostRoot } from './local-deployer-root.js';
import { confineToHost } from './service-supervisor.js';
import { shortLog } from './short-log.js';

/** One try of a check; what takes longer counts as failed, and there is another try. */
const TRY_TIMEOUT_MS = 2_000;

export interface HealthRequest {
  readonly folder: string;
  readonly host: Host;
  readonly check: HealthCheck;
  readonly sandbox: Sandbox;
  readonly signal: AbortSignal;
}

/** Undefined: healthy. Else why not, in one line. */
export type HealthAnswer = string | undefined;

/** Only the status is waited for: a service may send its headers drop by drop, or a body without an end. */
const tryHttp = (host: Host, port: number, path: string, signal: AbortSignal): Promise<HealthAnswer> =>
  new Promise((resolve) => {
    const where = `http://${host.address}:${port}${path}`;
    const sent = request({ host: host.address, port, path, agent: false, signal, headers: { 'user-agent': 'pipit-health' } });
    const end = (answer: HealthAnswer): void => {
      clearTimeout(timer);
      sent.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(`${where}: no answer in ${TRY_TIMEOUT_MS} ms`), TRY_TIMEOUT_MS);
    sent.once('response', (response) => {
      response.on('error', () => undefined);
      const status = response.statusCode ?? 0;
      end(status >= 200 && status < 300 ? undefined : `${where} answered ${status}`);
    });
    sent.on('error', (error) => end(`${where}: ${error.message}`));
    sent.end();
  });

const tryTcp = (host: Host, port: number, signal: AbortSignal): Promise<HealthAnswer> =>
  new Promise((resolve) => {
    const socket = connect({ host: host.address, port, timeout: TRY_TIMEOUT_MS, signal });
    const end = (answer: HealthAnswer): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(undefined));
    socket.once('timeout', () => end(`${host.address}:${port}: no answer in ${TRY_TIMEOUT_MS} ms`));
    socket.once('error', (error) => end(`${host.address}:${port}: ${error.message}`));
  });

const tryCommand = async (argv: readonly string[], { folder, host, sandbox, signal }: HealthRequest): Promise<HealthAnswer> => {
  const command = await confineToHost({
    root: hostRoot(folder, host.id),
    host,
    sandbox,
    stateFolder: join(folder, 'health', host.id),
    argv,
  });
  const result = await runCommand(command.argv, { cwd: '/', env: command.env, signal, timeoutMs: TRY_TIMEOUT_MS * 5 });
  return result.exitCode === 0
    ? undefined
    : `${argv.join(' ')} ended with ${result.exitCode}: ${shortLog(`${result.stdout}${result.stderr}`, 300).replaceAll('\n', ' ')}`;
};

/** One quick try of a host's health check, against the host's own address. */
export const tryHealth = async (options: HealthRequest): Promise<HealthAnswer> => {
  const { check, host, signal } = options;
  try {
    switch (check.type) {
      case 'http':
        return await tryHttp(host, check.port, check.path, signal);
      case 'tcp':
        return await tryTcp(host, check.port, signal);
      case 'command':
        return await tryCommand(check.argv, options);
      default:
        return assertNever(check);
    }
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
};
