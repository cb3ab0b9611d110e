import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { buildPipit } from './support/build-program.js';

const TEST_TIMEOUT_MS = 180_000;
const CAMPAIGN = fileURLToPath(new URL('../fuzz/run.mjs', import.meta.url));

interface Report {
  readonly requests: number;
  readonly failures: readonly string[];
  readonly auditLines: number;
  readonly statuses: Readonly<Record<string, number>>;
}

// A sample of the campaign: npm run fuzz -- --requests 200000
it(
  'answers a sample of odd requests without a 5xx, without standing still, and with an unbroken audit trail',
  async () => {
    const program = await buildPipit();
    try {
      // The delay of the event loop says nothing on a machine that runs other tests: the campaign itself judges it.
      const words = ['--requests', '1000', '--seed', '10', '--max-delay', '30', '--program', program.path];
      const { stdout, exitCode } = await execa('node', [CAMPAIGN, ...words], { reject: false });
      const report = JSON.parse(stdout) as Report; // its own shape
      expect(report.failures).toEqual([]);
      expect(exitCode).toBe(0);
      expect(report.requests).toBe(1000);
      expect(report.auditLines).toBeGreaterThan(0);
      for (const status of ['200', '202', '400', '401', '403', '404', '405', '421']) expect(report.statuses, status).toHaveProperty(status);
    } finally {
      await program.remove();
    }
  },
  TEST_TIMEOUT_MS,
);
