import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { waitUntil } from './wait-until.js';

/** Counts what the scripts of a repository do, told by themselves over a socket: nothing that pipit records is believed here. */
export interface ReportCounter {
  readonly port: number;
  /** A line of bash that tells it. */
  report(words: string): string;
  /** The same for a post-install script, which has no network: it is kept in a file of the host. */
  keep(words: string): string;
  /** How often each line came, of those that begin so. */
  count(prefix: string): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

const KEPT_FILE = 'var/lib/counted';

const keptIn = (hostsFolder: string): readonly string[] =>
  (existsSync(hostsFolder) ? readdirSync(hostsFolder) : [])
    .map((host) => join(hostsFolder, host, KEPT_FILE))
    .filter(existsSync)
    .flatMap((path) => readFileSync(path, 'utf8').trim().split('\n'));

/** @param hostsFolder where the roots of the local hosts are */
export const createReportCounter = async (hostsFolder: string): Promise<ReportCounter> => {
  const lines: string[] = [];
  const server = createServer((socket) => {
    let text = '';
    socket.setEncoding('utf8');
    socket.on('data', (piece: string) => {
      text += piece;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => lines.push(...text.split('\n').filter((line) => line !== '')));
  });
  server.listen(0, '127.0.0.1');
  const port = await waitUntil('the counter listens', () => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : undefined;
  });
  return {
    port,
    keep: (words) => `echo "${words}" >> "$DPKG_ROOT/${KEPT_FILE}"`,
    report: (words) => `exec 9<>/dev/tcp/127.0.0.1/${port}; echo "${words}" >&9; exec 9>&-`,
    count: (prefix) => {
      const counts: Record<string, number> = {};
      for (const line of [...lines, ...keptIn(hostsFolder)]) if (line.startsWith(prefix)) counts[line] = (counts[line] ?? 0) + 1;
      return counts;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
};
