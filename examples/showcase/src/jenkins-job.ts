import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Jenkins } from 'pipit-lab';

const SAMPLE_JOB = fileURLToPath(new URL('../../../plugins/jenkins/sample/config.xml', import.meta.url));
const DEFAULT_HEADER_FILE = '/etc/pipit/callback-header';

/** Makes the sample job of the jenkins plugin on a server, with the secret of its callback from a file. */
export const createJenkinsJob = async (options: {
  readonly jenkins: Jenkins;
  readonly name: string;
  readonly callbackHeaderFile: string;
}): Promise<void> => {
  const { jenkins, name, callbackHeaderFile } = options;
  const sample = await readFile(SAMPLE_JOB, 'utf8');
  const config = sample.replace(DEFAULT_HEADER_FILE, callbackHeaderFile);
  if (config === sample) throw new Error('The sample job names no file for the callback');
  const answer = await fetch(new URL(`createItem?name=${encodeURIComponent(name)}`, jenkins.url), {
    method: 'POST',
    headers: {
      'content-type': 'application/xml',
      authorization: `Basic ${Buffer.from(`${jenkins.user}:${jenkins.token}`).toString('base64')}`,
    },
    body: config,
  });
  if (!answer.ok) throw new Error(`Jenkins answered ${answer.status} to the job: ${(await answer.text()).slice(0, 500)}`);
};
