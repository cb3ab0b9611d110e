import { describe, expect, it } from 'vitest';
import { addHost, type CommitPlan, failCalls } from './world/outside.js';
import { ANNA, policy, World } from './world/world.js';

const automatic = { rings: [policy('canary', { bakeMs: 30_000 }), policy('production', { promotion: 'automatic' })] } as const;

/** In the version of the second commit only. */
const SECOND = '0002aaa';

/** A world whose production runs a good release, which its canary had before. */
const delivered = async (options: ConstructorParameters<typeof World>[0] = {}): Promise<{ world: World; good: string }> => {
  const world = new World(options);
  const run = await world.deliver();
  if (run.version === null || run.outcome !== 'succeeded') throw new Error(`The first delivery ended as ${run.outcome}: ${run.reason}`);
  return { world, good: run.version };
};

const untouched = (world: World, ring: string, version: string): void => {
  expect(world.versionsOf(ring)).toEqual([version]);
  expect(world.advertisedFor(ring)).toBe(version);
};

describe('a push', () => {
  it('travels to a verified canary, is watched, waits for its promotion, and then reaches production', async () => {
    const world = new World();
    await world.push();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ state: 'waiting', waitingFor: 'promotion', stage: 'promotion:production' });
    const { version } = await world.run(1);
    expect(world.versionsOf('canary')).toEqual([version]);
    expect(world.versionsOf('production')).toEqual([undefined]);
    await world.promote();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ state: 'ended', outcome: 'succeeded', reason: `${version} runs in production` });
    expect(world.versionsOf('production')).toEqual([version]);
    expect(world.advertisedFor('production')).toBe(version);
    expect(world.outside.folders).toEqual(new Set());
    expect(await world.brokenAudit()).toBeUndefined();
  });

  it('reaches production by itself where promotion is automatic, and the audit trail says who promoted', async () => {
    const world = new World(automatic);
    await world.push();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'succeeded' });
    const lines = await world.records.list('audit', { where: { action: 'run.promote', subject: 'web-1' } });
    expect(lines).toMatchObject([{ actor: 'pipit', detail: { ring: 'production' } }]);
  });

  it('is not promoted before its bake has ended', async () => {
    const world = new World(automatic);
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    const { dueAt } = await world.run(1);
    await world.settle();
    const [rollout] = await world.records.list('rollouts', { where: { ring: automatic.rings[1].name } });
    expect((rollout?.startedAt ?? '') >= (dueAt ?? 'never')).toBe(true);
  });

  it('goes through three rings, each fed from the one before', async () => {
    const rings = ['canary', 'staging', 'production'].map((name) => policy(name, { bakeMs: 10_000 }));
    const world = new World({ rings, hosts: { canary: ['c1'], staging: ['s1', 's2'], production: ['p1', 'p2'] } });
    await world.push();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ stage: 'promotion:staging' });
    await world.promote();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ stage: 'promotion:production' });
    expect(world.versionsOf('production')).toEqual([undefined]);
    await expect(world.promote({ ring: rings[1]?.name ?? policy('x').name })).resolves.toBeDefined();
    await world.settle();
    await world.promote({ ring: policy('production').name });
    await world.settle();
    expect(world.versionsOf('production')).toEqual(world.versionsOf('canary'));
  });

  it('adopts what is published for its commit already, and does not build the package again', async () => {
    const { world } = await delivered();
    const commit = [...(world.outside.repositories.values().next().value?.commits.values() ?? [])][0];
    await world.push();
    await world.settle();
    await world.push({}, commit);
    await world.settle();
    expect(world.outside.packaged.length).toBe(2);
    expect(new Set(world.outside.publications.map((each) => each.version)).size).toBe(world.outside.publications.length);
    const last = (await world.runs()).at(-1);
    expect(last).toMatchObject({ waitingFor: 'promotion', sha: commit?.sha });
  });
});

describe('a run whose work fails before any host is touched', () => {
  it.each<[string, CommitPlan, string, RegExp]>([
    ['CI fails', { ci: 'fails' }, 'build', /^CI failed: script\/cibuild ended with 1$/],
    ['CI passes another commit', { ci: 'passes another commit' }, 'build', /^CI passed commit f+, but the run is for 0002a+$/],
    ['CI loses the build', { ci: 'is lost' }, 'build', /^ci lost what it was doing: the CI knows no such build$/],
    ['packaging fails', { packaging: 'fails' }, 'package', /^script\/package ended with 2$/],
    ['packaging makes nothing', { packaging: 'makes nothing' }, 'package', /made no package/],
    ['packaging makes another version', { packaging: 'makes another version' }, 'package', /not version/],
    ['packaging lies about the digest', { packaging: 'lies about the digest' }, 'package', /but its bytes are/],
  ])('ends as failed when %s, says why, and leaves both rings as they were', async (_name, plan, stage, reason) => {
    const { world, good } = await delivered();
    await world.push({ plan });
    await world.settle();
    expect(await world.run(2)).toMatchObject({ state: 'ended', outcome: 'failed', stage, reason: expect.stringMatching(reason) });
    untouched(world, 'canary', good);
    untouched(world, 'production', good);
    expect(world.outside.folders).toEqual(new Set());
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_NOTHING_THERE' });
  });

  it('ends as cancelled, with the reason of the CI, when somebody stopped the build there', async () => {
    const world = new World();
    await world.push({ plan: { ci: 'cancelled' } });
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'cancelled', reason: 'stopped by anna in the CI' });
  });

  it('ends as failed when other bytes stand under its version, and names both digests', async () => {
    const { world, good } = await delivered();
    failCalls(world.outside, 'repository.publish', 'lost before');
    await world.push();
    await world.until(() => world.calls('repository.publish') === 2);
    const [, made] = await world.records.list('releases', { orderBy: ['createdAt', 'ascending'] });
    const artifact = made?.artifacts[0];
    if (artifact === undefined) throw new Error('no artifact');
    world.outside.published.push({ ...artifact, digest: `sha256:${'e'.repeat(64)}` });
    await world.settle();
    const { outcome, reason, stage } = await world.run(2);
    expect({ outcome, stage }).toEqual({ outcome: 'failed', stage: 'publish' });
    expect(reason).toContain(`sha256:${'e'.repeat(64)}`);
    expect(reason).toContain(artifact.digest);
    untouched(world, 'canary', good);
  });

  it('ends as failed when a host has a package of its name that is not pipit’s; the config may let it take that over, on record', async () => {
    const world = new World();
    const host = world.outside.hosts.get('canary1');
    if (host === undefined) throw new Error('no host');
    host.foreign = '1:2.3-1';
    world.outside.hosts.get('canary2')?.rings.pop();
    await world.push();
    await world.settle();
    expect((await world.run(1)).reason).toContain("web 1:2.3-1 is not pipit's");
    expect(host.foreign).toBe('1:2.3-1');
    const taken = async () => (await world.records.list('audit')).filter(({ action }) => action === 'rollout.take-over');
    expect(await taken()).toEqual([]);
    world.mayTakeOver = true;
    await world.push();
    await world.untilRun(2, { state: 'waiting', waitingFor: 'promotion' });
    expect(host.foreign).toBeUndefined();
    expect(await taken()).toMatchObject([
      { actor: 'pipit', detail: { run: 'web-2', packages: [{ hostId: 'canary1', name: 'web', version: '1:2.3-1' }] } },
    ]);
  });

  it('ends as failed when a ring has no hosts, with nothing advertised', async () => {
    const world = new World({ hosts: { production: ['web1'] } });
    await world.push();
    await world.settle();
    expect(await world.run(1)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/knows no host of web \(app\) in ring canary/),
    });
    expect(world.outside.advertisements).toEqual([]);
  });

  it('ends as failed when the repository has lost the commit', async () => {
    const world = new World();
    // Asked once for the commit's own role, and once by the build.
    failCalls(world.outside, 'sources.fetchCommit', 'stop', 'stop');
    await world.push();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'failed', stage: 'build' });
    expect(world.outside.builds).toEqual([]);
  });

  it('ends as failed when its pipeline has left the config', async () => {
    const world = new World();
    await world.push();
    await world.until(() => world.calls('ci.start') === 1);
    world.pipelineExists = false;
    await world.settle();
    expect(await world.run(1)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/^The config has no pipeline web any more, and none that takes refs\/heads\/main of acme\/web$/),
    });
  });

  it('goes on when its pipeline gets another name in the config', async () => {
    const world = new World();
    await world.push();
    await world.until(() => world.calls('ci.start') === 1);
    world.pipelineName = 'shop';
    await world.settle();
    expect(await world.run(1)).toMatchObject({ waitingFor: 'promotion' });
  });

  it.each(['promote', 'rollback'] as const)('%s goes on under the new name of a pipeline', async (command) => {
    const { world } = await delivered();
    await world.push();
    await world.settle();
    world.pipelineName = 'shop';
    if (command === 'rollback') await world.rollback({ ring: policy('canary').name });
    else await world.promote();
    await world.settle();
    const runs = await world.runs();
    expect(runs.map(({ outcome }) => outcome)).not.toContain('failed');
    const ring = command === 'promote' ? 'production' : 'canary';
    expect(world.versionsOf(ring)).toEqual([runs[command === 'promote' ? 1 : 0]?.version]);
  });

  it.each(['promote', 'rollback'] as const)('%s is refused at once when no pipeline delivers the app any more', async (command) => {
    const { world } = await delivered();
    await world.push();
    await world.settle();
    const before = await world.runs();
    world.pipelineExists = false;
    await expect(world[command]()).rejects.toMatchObject({ code: 'PIPELINE_GONE' });
    expect(await world.runs()).toEqual(before);
  });
});

describe('a canary that fails', () => {
  it.each<[string, CommitPlan]>([
    ['its install', { release: 'fails to install' }],
    ['its health check', { release: 'unhealthy' }],
  ])('%s goes back to what production runs; production is untouched, and nothing can be promoted', async (_name, plan) => {
    const { world, good } = await delivered();
    await world.push({ plan });
    await world.settle();
    const run = await world.run(2);
    expect(run).toMatchObject({ outcome: 'rolled-back', failure: { code: 'ROLLOUT_NOT_VERIFIED' } });
    expect(run.reason).toMatch(new RegExp(`failed in canary: 2 of 2 hosts failed; .*; canary is back on ${good.replaceAll('.', '\\.')}$`));
    untouched(world, 'canary', good);
    untouched(world, 'production', good);
    expect(world.outside.advertisements.filter((each) => each.ring === 'production')).toHaveLength(1);
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_NOTHING_THERE' });
    await expect(world.promote({ ring: policy('production').name })).resolves.toBeDefined();
    await world.settle();
    untouched(world, 'production', good);
  });

  it('on one host only goes back all the same', async () => {
    const { world, good } = await delivered();
    world.host('canary2').broken = SECOND;
    await world.push();
    await world.settle();
    expect(await world.run(2)).toMatchObject({
      outcome: 'rolled-back',
      reason: expect.stringMatching(/1 of 2 hosts failed; canary2: dpkg/),
    });
    untouched(world, 'canary', good);
  });

  it('with wrong bytes on a host is not verified', async () => {
    const { world, good } = await delivered();
    world.host('canary1').wrongBytes = SECOND;
    await world.push();
    await world.settle();
    expect(await world.run(2)).toMatchObject({ outcome: 'rolled-back', reason: expect.stringMatching(/sha256:0{64}/) });
    untouched(world, 'canary', good);
  });

  it('for the first time ever says that there is nothing to go back to, and cannot be promoted', async () => {
    const world = new World();
    await world.push({ plan: { release: 'unhealthy' } });
    await world.settle();
    const run = await world.run(1);
    expect(run).toMatchObject({ outcome: 'failed' });
    expect(run.reason).toMatch(/health check fails; the rollback of canary failed too: No release has completed in production yet/);
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_NOT_VERIFIED' });
    expect(await world.records.list('locks')).toEqual([]);
  });

  it('is left as it is where the config says so, and cannot be promoted', async () => {
    const { world, good } = await delivered({ rings: [policy('canary', { onFailure: 'stop' }), policy('production')] });
    await world.push({ plan: { release: 'unhealthy' } });
    await world.settle();
    expect(await world.run(2)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/canary is left as it is: onFailure is stop/),
    });
    expect(world.versionsOf('canary')).not.toEqual([good]);
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_NOT_VERIFIED' });
  });

  it('at the end of its bake goes back, and could not be promoted before', async () => {
    const { world, good } = await delivered();
    await world.push();
    await world.untilRun(2, { waitingFor: 'bake' });
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_TOO_EARLY' });
    world.host('canary1').sick = SECOND;
    await world.settle();
    expect(await world.run(2)).toMatchObject({ outcome: 'rolled-back', failure: { code: 'BAKE_FAILED' } });
    untouched(world, 'canary', good);
    untouched(world, 'production', good);
  });

  it('cannot be promoted when its watch broke off and there is nothing to go back to', async () => {
    const world = new World();
    await world.push();
    await world.untilRun(1, { waitingFor: 'bake' });
    failCalls(world.outside, 'deployer.observe', 'stop');
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'failed' });
    await expect(world.promote()).rejects.toMatchObject({ code: 'PROMOTION_NOT_VERIFIED' });
  });
});

describe('production that fails', () => {
  it('goes back to its release before', async () => {
    const { world, good } = await delivered();
    world.host('web2').broken = SECOND;
    await world.push();
    await world.settle();
    await world.promote();
    await world.settle();
    expect(await world.run(2)).toMatchObject({
      outcome: 'rolled-back',
      reason: expect.stringMatching(new RegExp(`production is back on ${good}`)),
    });
    untouched(world, 'production', good);
  });

  it('says so when a host is still broken while it goes back', async () => {
    const { world } = await delivered();
    world.host('web2').broken = true;
    await world.push();
    await world.settle();
    await world.promote();
    await world.settle();
    expect(await world.run(2)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/the rollback of production failed too: .*web2/),
    });
    expect(await world.records.list('locks')).toEqual([]);
  });
});

describe('hosts', () => {
  it('that are dead never stop the others', async () => {
    const { world } = await delivered();
    world.host('web2').reachable = false;
    const run = await world.deliver();
    expect(run).toMatchObject({ outcome: 'succeeded' });
    expect(world.host('web1').installed?.version).toBe(run.version);
    expect(world.host('web2').installed?.version).not.toBe(run.version);
    const hosts = await world.records.list('rolloutHosts', { where: { hostId: 'web2' } });
    expect(hosts.map((host) => host.state)).toContain('unreachable');
  });

  it('that are all dead are never a verified ring', async () => {
    const { world } = await delivered();
    for (const host of world.hostsOf('canary')) host.reachable = false;
    await world.push();
    await world.settle();
    expect(await world.run(2)).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/0 of 2 hosts run it and are healthy; 1 needed/),
    });
    await expect(world.promote({ ring: policy('production').name })).rejects.toMatchObject({ code: 'PROMOTION_NOT_VERIFIED' });
  });

  it('with the tags of two rings belong to the earlier', async () => {
    const world = new World();
    addHost(world.outside, 'both', ['canary', 'production']);
    await world.push();
    await world.settle();
    const sequence = world.host('both').installed?.sequence;
    await world.promote();
    await world.settle();
    expect(world.host('both').installs).toHaveLength(1);
    expect(world.host('both').installed?.sequence).toBe(sequence);
  });

  it('of an architecture that no canary runs are left, and reported', async () => {
    const world = new World();
    addHost(world.outside, 'arm1', ['production'], 'arm64');
    await world.deliver({ plan: { architectures: ['amd64', 'arm64'] } });
    expect(await world.run(1)).toMatchObject({ outcome: 'succeeded' });
    expect(world.host('arm1').installed).toBeUndefined();
    const [row] = await world.records.list('rolloutHosts', { where: { hostId: 'arm1' } });
    expect(row?.state).toBe('left');
  });

  it('that are busy with another package manager are asked again', async () => {
    const world = new World();
    world.host('canary1').busy = true;
    await world.push();
    await world.until(() => world.calls('deployer.observe') >= 3);
    world.host('canary1').busy = false;
    await world.settle();
    expect(await world.run(1)).toMatchObject({ waitingFor: 'promotion' });
  });
});

describe('calls that go wrong for a while', () => {
  const names = [
    'sources.readHead',
    'sources.fetchCommit',
    'sources.readFacts',
    'ci.find',
    'ci.start',
    'ci.inspect',
    'ci.readLog',
    'ci.collect',
    'packager.package',
    'repository.find',
    'repository.publish',
    'repository.offer',
    'repository.installSources',
    'discovery.findHosts',
    'advertiser.read',
    'advertiser.write',
    'deployer.find',
    'deployer.start',
    'deployer.inspect',
    'deployer.observe',
  ];
  it.each(names.flatMap((name) => (['retry', 'lost before', 'lost after'] as const).map((fault) => [name, fault] as const)))(
    '%s (%s) neither end the run nor repeat an effect',
    async (name, fault) => {
      const world = new World(automatic);
      failCalls(world.outside, name, fault, fault);
      await world.push();
      await world.settle();
      expect(world.outside.faults.get(name)?.length).toBeLessThan(2);
      expect(await world.run(1)).toMatchObject({ outcome: 'succeeded' });
      expect(world.outside.builds).toHaveLength(1);
      expect(world.outside.publications).toHaveLength(1);
      expect(world.outside.batches).toHaveLength(2);
      expect(world.outside.advertisements.map((each) => each.ring)).toEqual(['canary', 'production']);
      for (const host of world.outside.hosts.values()) expect(host.installs).toHaveLength(1);
      expect(world.outside.folders).toEqual(new Set());
    },
  );

  it('a CI that stays away fails the run after some minutes, not hours', async () => {
    const world = new World();
    failCalls(world.outside, 'ci.inspect', ...Array.from({ length: 1_000 }, () => 'retry' as const));
    await world.push();
    const begun = world.clock.time;
    await world.settle();
    expect(await world.run(1)).toMatchObject({ outcome: 'failed', reason: expect.stringMatching(/^ci.inspect does not answer; still so/) });
    expect(world.clock.time - begun).toBeLessThan(25 * 60_000);
    expect(world.clock.time - begun).toBeGreaterThan(5 * 60_000);
  });
});

it('an operation that the engine gave up leaves no rollout open, and its run goes back', async () => {
  const { world, good } = await delivered();
  failCalls(world.outside, 'repository.offer', 'retry');
  await world.push();
  await world.until(() => world.outside.faults.get('repository.offer')?.length === 0);
  world.crash();
  world.loseJournal();
  const [open] = await world.records.list('operations', { where: { state: 'running' } });
  if (open === undefined) throw new Error('no operation is under way');
  // As after an upgrade that lacks the code of this version.
  await world.records.transaction((transaction) => transaction.update('operations', { id: open.id }, { version: 99 }));
  await world.settle();
  expect(await world.run(2)).toMatchObject({ outcome: 'rolled-back', failure: { code: 'OPERATION_BROKEN' } });
  expect((await world.records.list('rollouts')).filter((rollout) => rollout.endedAt === null)).toEqual([]);
  untouched(world, 'canary', good);
});

it('an act by a person is on the audit trail with who, whence and why', async () => {
  const world = new World();
  await world.push();
  await world.settle();
  await world.promote({ actor: { name: 'token:main', origin: '192.0.2.9' }, reason: 'looks good' });
  await world.settle();
  await world.push();
  await world.untilRun(2, { waitingFor: 'bake' });
  await world.cancel('web-2', { reason: 'oops' });
  await world.settle();
  const lines = await world.records.list('audit');
  expect(lines.find((line) => line.action === 'run.promote')).toMatchObject({
    actor: 'token:main',
    origin: '192.0.2.9',
    subject: 'web-1',
    detail: { ring: 'production', why: 'looks good' },
  });
  expect(lines.find((line) => line.action === 'run.cancel')).toMatchObject({ actor: ANNA.name, subject: 'web-2', detail: { why: 'oops' } });
  expect(lines.filter((line) => line.action === 'run.end').map((line) => line.subject)).toEqual(['web-1', 'web-2']);
});
