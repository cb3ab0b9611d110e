import { type Call, type Host, type HostReport, type PackageName, PluginError } from '@pipit/core';
import {
  HOST_LAUNCH,
  HOST_LOOK,
  type HostInstall,
  type HostLaunch,
  type HostLook,
  healthCheckEnvironment,
  hostScriptEnvironment,
  hostTryId,
  parseHostLaunch,
  parseHostLook,
  renderHostTry,
} from '@pipit/plugin-kit';
import { type HostCall, runOnHost } from './run-on-host.js';
import type { SshClient } from './ssh-client.js';

/** How long a host may take for what it is asked, beside what it is told to wait. */
const ANSWER_WITHIN_MS = 45_000;

export interface LookRequest {
  readonly packages: readonly PackageName[];
  readonly format: 'deb' | 'rpm' | 'any';
  /** A try to look at, by its operation's key; its end is waited for. */
  readonly attempt?: { readonly key: string; readonly waitSeconds: number };
  readonly check?: HostInstall['check'];
  readonly tries: number;
}

/** What a host runs now, in one round trip. Errors: those of the connection, and `HOST_LOOK_BROKEN` (retry). */
export const lookAtHost = async (client: SshClient, host: Host, request: LookRequest, call: HostCall): Promise<HostLook> => {
  const { packages, format, attempt, check, tries } = request;
  const waitSeconds = attempt?.waitSeconds ?? 0;
  const result = await runOnHost(
    client,
    host.address,
    {
      argv: ['/bin/sh', '-c', HOST_LOOK, 'pipit-look'],
      root: true,
      tries,
      timeoutMs: waitSeconds * 1000 + ANSWER_WITHIN_MS,
      env: {
        PIPIT_PACKAGES: packages.join(' '),
        PIPIT_FORMAT: format,
        PIPIT_ID: attempt === undefined ? '' : hostTryId(attempt.key),
        PIPIT_WAIT_SECONDS: String(waitSeconds),
        ...healthCheckEnvironment(check),
      },
    },
    call,
  );
  return parseHostLook(result.stdout, packages);
};

/** Starts an install on a host so that it outlives the connection. Repeating it starts nothing twice. */
export const launchOnHost = async (
  client: SshClient,
  host: Host,
  install: HostInstall,
  tries: number,
  call: HostCall & Pick<Call, 'clock'>,
): Promise<HostLaunch> => {
  const result = await runOnHost(
    client,
    host.address,
    {
      argv: ['/bin/sh', '-c', HOST_LAUNCH, 'pipit-launch'],
      root: true,
      tries,
      timeoutMs: ANSWER_WITHIN_MS,
      env: { PIPIT_PACKAGE: install.artifact.name, PIPIT_ID: hostTryId(install.key), PIPIT_AT: call.clock.now().toISOString() },
      input: Buffer.from(renderHostTry(hostScriptEnvironment(install))),
    },
    call,
  );
  if (result.exitCode === 0) return parseHostLaunch(result.stdout);
  throw new PluginError({
    code: 'HOST_LOOK_BROKEN',
    message: `${host.address} could not start an install: ${result.stderr.trim().slice(-300)}`,
    hint: 'Look whether flock and systemd-run (or setsid) work on the host.',
    recovery: 'reconcile',
  });
};

/** The error of a report, from a thrown one. */
export const reportedError = ({ code, message, hint }: PluginError): NonNullable<HostReport['error']> => ({
  code,
  message,
  ...(hint === undefined ? {} : { hint }),
});
