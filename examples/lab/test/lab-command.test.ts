import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { labUnavailable, takeDownLab, tryCommand } from '../src/index.js';
import { labTraces } from './lab-traces.js';

const unavailable = await labUnavailable();

// As its user runs it: the built program.
const PROGRAM = fileURLToPath(new URL('../dist/main.js', import.meta.url));

describe('the lab command', { timeout: 300_000 }, () => {
  let folder = '';
  const lab = (...argv: readonly string[]) => tryCommand([process.execPath, PROGRAM, ...argv, '--folder', join(folder, 'lab')]);
  const inHost = (host: string, ...command: readonly string[]) =>
    tryCommand([process.execPath, PROGRAM, '--folder', join(folder, 'lab'), 'ssh', host, ...command]);

  /** The line of a host in the table of hosts. */
  const lineOf = (text: string, host: string): string => text.split('\n').find((line) => line.startsWith(`${host} `)) ?? '';

  beforeAll(async () => {
    if (unavailable === undefined) folder = await mkdtemp(join(tmpdir(), 'pipit-lab-command-'));
  });
  afterAll(async () => {
    if (folder === '') return;
    await takeDownLab(join(folder, 'lab'));
    await rm(folder, { recursive: true });
  }, 120_000);
  beforeEach(({ skip }) => skip(unavailable !== undefined, unavailable));

  it('says what to do when there is no lab, or no such command', async () => {
    expect(await lab('status')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('lab up') });
    expect(await lab('fly')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('no command fly') });
  });

  it('brings a lab up that outlives the command, stops, starts, cuts and heals its hosts, and takes all of it down', async () => {
    const up = await lab('up', '--canaries', '1', '--production', '1', '--no-jenkins');
    expect(up.exitCode, up.stderr).toBe(0);
    const traces = await labTraces(join(folder, 'lab'));
    const status = await lab('status');
    expect(lineOf(status.stdout, 'canary-1')).toMatch(/ running +connected /);
    expect(status.stdout).toMatch(/^Consul +http:/m);
    expect((await inHost('canary-1', 'hostname')).stdout.trim()).toBe('canary-1');
    expect((await inHost('canary-1', 'exit', '7')).exitCode).toBe(7);

    expect(lineOf((await lab('stop', 'production-1')).stdout, 'production-1')).toMatch(/ stopped +/);
    expect((await inHost('production-1', 'true')).exitCode).toBe(255);
    expect(lineOf((await lab('start', 'production-1')).stdout, 'production-1')).toMatch(/ running +/);
    expect((await inHost('production-1', 'true')).exitCode).toBe(0);

    expect(lineOf((await lab('cut', 'canary-1')).stdout, 'canary-1')).toMatch(/ running +cut /);
    expect(lineOf((await lab('heal', 'canary-1')).stdout, 'canary-1')).toMatch(/ running +connected /);
    expect((await inHost('canary-1', 'true')).exitCode).toBe(0);
    expect(await lab('stop', 'nobody')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('has no host nobody') });

    expect((await lab('down')).exitCode).toBe(0);
    expect(await traces()).toEqual([]);
    expect((await lab('down')).exitCode).toBe(0);
  });
});
