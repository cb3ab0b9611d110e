import { createServer } from 'node:net';
import { waitUntil } from './wait-until.js';

/** Counts what the scripts of a repository do, told by themselves over a socket: nothing that pipit records is believed here. */
export interface ReportCounter {
  readonly port: number;
  /** A line of bash that tells it. */
  report(words: string): string;
  /** How often each line came, of those that begin so. */
  count(prefix: string): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

export const createReportCounter = async (): Promise<ReportCounter> => {
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
    report: (words) => `exec 9<>/dev/tcp/127.0.0.1/${port}; echo "${words}" >&9; exec 9>&-`,
    count: (prefix) => {
      const counts: Record<string, number> = {};
      for (const line of lines) if (line.startsWith(prefix)) counts[line] = (counts[line] ?? 0) + 1;
      return counts;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
};
