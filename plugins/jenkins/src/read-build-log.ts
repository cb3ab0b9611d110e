import { isPluginError } from '@pipit/core';
import type { JenkinsClient } from './jenkins-client.js';
import { type JobPath, jobAddress } from './job-path.js';

export interface LogPiece {
  readonly text: string;
  readonly cursor: string;
}

const offsetOf = (cursor: string | undefined): number => (cursor !== undefined && /^\d{1,15}$/.test(cursor) ? Number(cursor) : 0);

const isTooLarge = (thrown: unknown): boolean => isPluginError(thrown) && thrown.code === 'HTTP_ANSWER_TOO_LARGE';

/** The log's text from an offset in bytes on; the cursor is the offset after it. Source: hudson.console.AnnotatedLargeText. */
export const readBuildLog = async (
  client: JenkinsClient,
  { job, number }: { readonly job: JobPath; readonly number: number },
  after: string | undefined,
  signal: AbortSignal,
): Promise<LogPiece> => {
  const offset = offsetOf(after);
  const address = `${jobAddress(job)}${number}/logText/progressiveText?start=${offset}`;
  const sizeOf = (headers: Headers): string => `${offsetOf(headers.get('x-text-size') ?? undefined) || offset}`;
  try {
    const answer = await client.get(address, signal);
    return answer.status === 200 ? { text: answer.text(), cursor: sizeOf(answer.headers) } : { text: '', cursor: `${offset}` };
  } catch (thrown) {
    if (!isTooLarge(thrown)) throw thrown;
    // A build that prints more than pipit takes at once must not fail for it.
    const { headers } = await client.get(address, signal, 'HEAD');
    return { text: `[pipit left out a part of this log: it is whole at ${jobAddress(job)}${number}/console]\n`, cursor: sizeOf(headers) };
  }
};
