import { access, constants, stat } from 'node:fs/promises';
import type { Call, HealthFinding } from '@pipit/core';
import { minimalEnvironment, runCommand } from '@pipit/plugin-kit';
import type { SshConfig } from './config.js';

const VERSION_TIMEOUT_MS = 5_000;

const readable = async (name: string, path: string, hint: string): Promise<HealthFinding> => {
  const ok = await access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
  return { name, ok, detail: path, ...(ok ? {} : { hint }) };
};

const findClient = async (program: string, folder: string, signal: AbortSignal): Promise<HealthFinding> => {
  try {
    const { stderr } = await runCommand([program, '-V'], {
      cwd: folder,
      env: minimalEnvironment(folder),
      signal,
      timeoutMs: VERSION_TIMEOUT_MS,
    });
    return {
      name: 'ssh client',
      ok: stderr.includes('OpenSSH'),
      detail: stderr.trim(),
      hint: 'Use OpenSSH: other clients share no connections.',
    };
  } catch (thrown) {
    const detail = thrown instanceof Error ? thrown.message : String(thrown);
    return { name: 'ssh client', ok: false, detail, hint: 'apt-get install openssh-client' };
  }
};

/** What `pipit doctor` shows of this plugin: the client, and the files that the config names. */
export const checkSshHealth = async (config: SshConfig, folder: string, { signal }: Call): Promise<readonly HealthFinding[]> => {
  const findings = [findClient(config.program, folder, signal)];
  if (config.sshConfig !== undefined && config.sshConfig !== 'none')
    findings.push(readable('ssh_config', config.sshConfig, 'Make the file, or correct `sshConfig`.'));
  if (config.knownHostsFile !== undefined)
    findings.push(readable('known hosts', config.knownHostsFile, 'Make the file, or correct `knownHostsFile`.'));
  const { agent } = config;
  if (agent !== undefined)
    findings.push(
      stat(agent).then(
        (found) => ({ name: 'ssh agent', ok: found.isSocket(), detail: agent, hint: 'Start the agent, or correct `agent`.' }),
        () => ({ name: 'ssh agent', ok: false, detail: `${agent} is not there`, hint: 'Start the agent, or correct `agent`.' }),
      ),
    );
  if (config.hostKeys === 'record-new')
    findings.push(
      Promise.resolve({
        name: 'host keys',
        ok: true,
        detail: 'keys of new hosts are recorded without a question; set `hostKeys: strict` when all are known',
      }),
    );
  return Promise.all(findings);
};
