import type { Deployer, Host, HostReport, Op, PackageName, Receipt, RolloutRequest } from '@pipit/core';
import { expect } from 'vitest';
import { type Check, inWorld, notApplicable, registerChecks } from './check.js';
import { expectPlainJson } from './expectations.js';
import { type TaskWorld, taskChecks, untilEnded } from './task-checks.js';

type DeployerServices = 'shell' | 'connect';

/**
 * Hosts on which nothing of the app is installed, and requests for them. `good` brings them to a release; `bad` to one that does not become
 * healthy. All requests are for the same ring and app.
 */
export interface DeployerWorld<Options> extends TaskWorld<RolloutRequest<Options>, DeployerServices> {
  /** A fresh instance over the same hosts, as after a restart on another machine. */
  reopen(): Promise<Deployer<Options>>;
  /** A request of a lower sequence than `good`'s, for another version. */
  readonly older: RolloutRequest<Options>;
  /** A request of a higher sequence than `good`'s, for another version, whose artifacts name digests that the repository's bytes do not have. */
  readonly tampered: RolloutRequest<Options>;
  /** A member that cannot be reached. Absent where every host of this deployer is always reached. */
  readonly unreachableHost?: Host;
  /** A request for another app on the hosts of `good`, whose install fails in the middle. Absent where a host has one app only. */
  readonly neighbour?: RolloutRequest<Options>;
}

export interface DeployerHarness<Options> {
  open(): Promise<DeployerWorld<Options>>;
}

const packagesOf = <Options>(request: RolloutRequest<Options>): readonly PackageName[] => [
  ...new Set(request.release.artifacts.map((artifact) => artifact.name)),
];

const expectOneReportEach = (reports: readonly HostReport[], hosts: readonly Host[]): void => {
  expect(
    reports.map((report) => report.hostId),
    'one report a host, in the order of the request',
  ).toEqual(hosts.map((host) => host.id));
};

const expectRelease = <Options>(receipt: Receipt | undefined, { release, sequence }: RolloutRequest<Options>, hostId: string): void => {
  expect(receipt, `the receipt of ${hostId}`).toMatchObject({ version: release.version, sequence });
  expect(
    release.artifacts.map((artifact) => artifact.digest),
    `digests of the release, of which ${hostId} has one`,
  ).toContain(receipt?.digest);
};

const steps = <Options>(world: DeployerWorld<Options>) => ({
  rollOut: async (request: RolloutRequest<Options>): Promise<readonly HostReport[]> => {
    const key = `rollout-${request.sequence}:install:1`;
    const op: Op<DeployerServices> = await world.createOp({ key, request });
    const started = { request, handle: await (await world.reopen()).start(request, op) };
    const reports = await untilEnded(world, await world.reopen(), started, key);
    expectOneReportEach(reports, request.hosts);
    return reports;
  },
  observe: async (request: RolloutRequest<Options>, hosts: readonly Host[] = request.hosts): Promise<readonly HostReport[]> => {
    const { ring, options, check } = request;
    const op = await world.createOp({ key: 'observe:hosts:1', request });
    const reports = await (await world.reopen()).observe(
      { ring, options, hosts, packages: packagesOf(request), ...(check === undefined ? {} : { check }) },
      op,
    );
    expectPlainJson(reports, 'the reports');
    return reports;
  },
});

/** What {@link Deployer} promises, one check each. */
export const deployerChecks = <Options>(): readonly Check<DeployerHarness<Options>>[] => {
  type Steps = ReturnType<typeof steps<Options>>;
  const check = (name: string, run: (world: DeployerWorld<Options>, by: Steps) => Promise<void>): Check<DeployerHarness<Options>> => ({
    name,
    run: inWorld((world: DeployerWorld<Options>) => run(world, steps(world))),
  });
  return [
    ...taskChecks<DeployerWorld<Options>, RolloutRequest<Options>, readonly HostReport[], DeployerServices>({
      reopen: (world) => world.reopen(),
      expectGood: (world, reports) => {
        expectOneReportEach(reports, world.good.hosts);
        for (const report of reports) {
          expect(report, `the report of ${report.hostId}`).toMatchObject({ reachable: true });
          expect(report.error, `the error of ${report.hostId}`).toBeUndefined();
          expectRelease(report.installed, world.good, report.hostId);
        }
      },
      expectBad: (world, reports) => {
        expectOneReportEach(reports, world.bad.hosts);
        for (const report of reports)
          expect(report.healthy === true && report.error === undefined, `${report.hostId} counts as well`).toBe(false);
      },
    }),
    check('names its formats', async (world) => {
      expect((await world.reopen()).formats.length).toBeGreaterThan(0);
    }),
    check('observes a host before its first install: reached, with nothing installed', async (world, { observe }) => {
      const reports = await observe(world.good);
      expectOneReportEach(reports, world.good.hosts);
      for (const report of reports) expect(report).toMatchObject({ reachable: true });
      expect(reports.every((report) => report.installed === undefined)).toBe(true);
    }),
    check('observes what it installed, in the order of the request, the same each time', async (world, { observe, rollOut }) => {
      await rollOut(world.good);
      const backwards = world.good.hosts.toReversed();
      const reports = await observe(world.good, backwards);
      expectOneReportEach(reports, backwards);
      for (const report of reports) expectRelease(report.installed, world.good, report.hostId);
      expect((await observe(world.good, backwards)).map((report) => report.installed)).toEqual(reports.map((report) => report.installed));
    }),
    check('observes the health that the request asks for', async (world, { observe, rollOut }) => {
      if (world.good.check === undefined) notApplicable('the good request of this harness has no health check');
      await rollOut(world.good);
      expect((await observe(world.good)).map((report) => report.healthy)).toEqual(world.good.hosts.map(() => true));
    }),
    check('refuses an older sequence on every host, and leaves what is installed', async (world, { observe, rollOut }) => {
      expect(world.older.sequence, 'the older sequence of the harness').toBeLessThan(world.good.sequence);
      await rollOut(world.good);
      for (const report of await rollOut(world.older)) expect(report.error?.message, `the refusal of ${report.hostId}`).toMatch(/\S/);
      for (const report of await observe(world.good)) expectRelease(report.installed, world.good, report.hostId);
    }),
    check("refuses bytes without the release's digest, and leaves what is installed", async (world, { observe, rollOut }) => {
      expect(world.tampered.sequence, 'the tampered sequence of the harness').toBeGreaterThan(world.good.sequence);
      await rollOut(world.good);
      for (const report of await rollOut(world.tampered)) expect(report.error?.message, `the refusal of ${report.hostId}`).toMatch(/\S/);
      for (const report of await observe(world.good)) {
        expect(report.installed?.version, `the version of ${report.hostId}`).toBe(world.good.release.version);
        expect(world.good.release.artifacts.map((artifact) => artifact.digest)).toContain(report.installed?.digest);
      }
    }),
    check("installs, also again, beside another app's package that was left half-way", async (world, { observe, rollOut }) => {
      const neighbour = world.neighbour ?? notApplicable('this harness has one app only');
      for (const report of await rollOut(neighbour)) expect(report.error?.message, `the failure of ${report.hostId}`).toMatch(/\S/);
      for (const report of await rollOut(world.good)) {
        expect(report.error, `the error of ${report.hostId}`).toBeUndefined();
        expectRelease(report.installed, world.good, report.hostId);
      }
      const again = { ...world.good, sequence: world.tampered.sequence + 1 };
      for (const report of await rollOut(again)) expectRelease(report.installed, again, report.hostId);
      for (const report of await observe(world.good)) expect(report).toMatchObject({ reachable: true });
    }),
    check('installs on the others when one host cannot be reached, and says which', async (world, { observe, rollOut }) => {
      const dead = world.unreachableHost ?? notApplicable('every host of this harness can be reached');
      const request = { ...world.good, hosts: [dead, ...world.good.hosts] };
      const [lost, ...others] = await rollOut(request);
      expect(lost).toMatchObject({ hostId: dead.id, reachable: false });
      for (const report of others) expectRelease(report.installed, world.good, report.hostId);
      expect((await observe(request))[0]).toMatchObject({ hostId: dead.id, reachable: false });
    }),
  ];
};

/** Registers a test for each promise of {@link Deployer}. */
export const testDeployer = <Options>(name: string, harness: DeployerHarness<Options>): void =>
  registerChecks(`${name} as deployer`, deployerChecks<Options>(), harness);
