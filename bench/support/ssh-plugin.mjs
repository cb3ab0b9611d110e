import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { plugin } from '@pipit/plugin-ssh';

const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: (fields, message) => console.error(message, fields) };
const clock = { now: () => new Date() };

/** What a call of pipit's gets. */
export const callOf = (key, timeoutMs = 600_000) => ({
  signal: AbortSignal.timeout(timeoutMs),
  deadline: new Date(Date.now() + timeoutMs),
  logger,
  clock,
  random: Math.random,
  key,
  attempt: 1,
  report: () => {},
});

/** The ssh plugin as a running pipit has it, without open connections. */
export const openSshPlugin = async (folder, config) => {
  const own = await mkdtemp(join(folder, 'ssh-'));
  const checked = await plugin.config['~standard'].validate(config);
  if (checked.issues !== undefined) throw new Error(JSON.stringify(checked.issues));
  const instance = await plugin.setup(checked.value, { instance: 'bench', hookUrl: '', folder: own, logger, clock });
  return {
    ...instance,
    close: async () => {
      await instance.dispose();
      await rm(own, { recursive: true, force: true });
    },
  };
};
