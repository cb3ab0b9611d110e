import { type CommitSha, parseCommitSha, parseRefName } from '@pipit/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { failCalls, type SimulatedCommit } from './world/outside.js';
import { APP, MAIN, REPOSITORY, World } from './world/world.js';

let world: World;
beforeEach(() => {
  world = new World();
});

const eventOf = async (id: string) => (await world.records.list('events')).find((event) => event.id === id);
const outcomeOf = async (id: string): Promise<string> => (await eventOf(id))?.outcome ?? '';

describe('a delivery', () => {
  it('is durable when it is answered, also when pipit is killed right after', async () => {
    const { eventId } = await world.push();
    world.crash();
    expect(await eventOf(eventId)).toBeDefined();
    await world.settle();
    expect(await world.run(1)).toMatchObject({ eventId, waitingFor: 'promotion' });
  });

  it('is accepted once, however often it comes at the same moment', async () => {
    const commit = world.commit();
    world.outside.repositories.get(REPOSITORY.id)?.refs.set(MAIN, commit.sha);
    const tellings = Array.from({ length: 50 }, () => world.tell({ key: 'same', repository: REPOSITORY, ref: MAIN, sha: commit.sha }));
    const accepted = await Promise.all(tellings);
    expect(accepted.filter((each) => !each.repeated)).toHaveLength(1);
    expect(new Set(accepted.map((each) => each.eventId)).size).toBe(1);
    await world.settle();
    expect(await world.records.list('events')).toHaveLength(1);
    expect(await world.runs()).toHaveLength(1);
    expect(await world.records.list('audit', { where: { action: 'event.accept' } })).toHaveLength(1);
  });

  it('whose author or key cannot be stored as it is is one event, with U+FFFD, and the trail agrees', async () => {
    const { sha } = await world.push();
    const told = { key: 'k\0', repository: REPOSITORY, ref: MAIN, sha, author: 'Ann\0 \ud83d' };
    const first = await world.tell(told);
    expect(await world.tell(told)).toEqual({ eventId: first.eventId, repeated: true });
    expect(await eventOf(first.eventId)).toMatchObject({ key: 'k\ufffd', body: { event: { key: 'k\ufffd', author: 'Ann\ufffd \ufffd' } } });
    const [line] = await world.records.list('audit', { where: { subject: first.eventId } });
    expect(line?.detail).toMatchObject({ key: 'k\ufffd' });
  });

  it('of another instance under the same key is another event', async () => {
    const { eventId } = await world.push({ key: 'same' });
    const other = await world.tell({ key: 'same', repository: REPOSITORY, ref: MAIN, sha: (await world.push()).sha }, 'gitlab');
    expect(other).toMatchObject({ repeated: false });
    expect(other.eventId).not.toBe(eventId);
  });

  it('that cannot be stored is not answered', async () => {
    const { records } = world;
    const broken = new World();
    Object.assign(broken.records, { transaction: () => Promise.reject(new Error('disk full')) });
    await expect(broken.tell({ repository: REPOSITORY, ref: MAIN, sha: 'a'.repeat(40) as CommitSha })).rejects.toThrow('disk full');
    expect(await records.list('events')).toEqual([]);
  });
});

describe('one push', () => {
  const tellings: readonly (readonly [string, boolean, boolean])[] = [
    ['both with the commit before', true, true],
    ['the hook with, the poll without it', true, false],
    ['the poll first, without it', false, true],
    ['neither with it', false, false],
  ];
  it.each(tellings)('told by hook and poll (%s) begins one run', async (_name, hook, poll) => {
    await world.deliver();
    const before = (await world.run(1)).sha;
    const { sha } = await world.push(hook ? { before } : { before: null });
    await world.tell({ repository: REPOSITORY, ref: MAIN, sha, ...(poll ? { before } : {}) }, 'poll');
    await world.settle();
    await world.tell({ repository: REPOSITORY, ref: MAIN, sha, ...(poll ? { before } : {}) }, 'backfill');
    await world.settle();
    expect((await world.runs()).map((run) => run.id)).toEqual(['web-1', 'web-2']);
    expect(world.outside.builds).toHaveLength(2);
  });

  it('of an annotated tag builds the commit that the tag names, once, whichever of the two is told', async () => {
    const commit = world.commit();
    const object = parseCommitSha('f'.repeat(40));
    world.outside.repositories.get(REPOSITORY.id)?.refs.set(MAIN, commit.sha);
    world.outside.tags.set(MAIN, object);
    await world.tell({ repository: REPOSITORY, ref: MAIN, sha: object });
    await world.settle();
    expect((await world.run(1)).sha).toBe(commit.sha);
    await world.tell({ repository: REPOSITORY, ref: MAIN, sha: commit.sha });
    await world.settle();
    expect(world.outside.builds.map((build) => build.sha)).toEqual([commit.sha]);
  });

  it('that was overtaken before its run would begin is recorded as stale, and starts nothing', async () => {
    const first = world.commit();
    const { sha } = await world.push();
    const { eventId } = await world.tell({ repository: REPOSITORY, ref: MAIN, sha: first.sha });
    await world.settle();
    expect(await outcomeOf(eventId)).toMatch(/^Run web-\d+: .* is no longer the head of refs\/heads\/main$/);
    const stale = (await world.runs()).find((run) => run.outcome === 'stale');
    expect(stale).toMatchObject({ sha: first.sha, state: 'ended' });
    expect(world.outside.builds.map((build) => build.sha)).toEqual([sha]);
  });

  it('replayed under another delivery, days later, starts nothing', async () => {
    await world.deliver();
    const { sha } = await world.run(1);
    await world.deliver();
    await world.tell({ repository: REPOSITORY, ref: MAIN, sha });
    await world.settle();
    expect(world.outside.builds).toHaveLength(2);
    expect(world.versionsOf('canary')).toEqual([(await world.run(2)).version]);
  });

  it.each([
    [true, true],
    [true, false],
    [false, true],
    [false, false],
  ])('is each time that a ref moves the same way (hook: %s, with the commit before: %s)', async (hook, told) => {
    const [a, b] = [world.commit(), world.commit()];
    const report = async (commit: SimulatedCommit): Promise<string> => {
      const { eventId } = await world.push({ ...(told ? {} : { before: null }), polled: !hook }, commit);
      await world.settle();
      // Another sender, and one that comes late, report the same push.
      await world.tell({ repository: REPOSITORY, ref: MAIN, sha: commit.sha }, 'poll');
      await world.tell({ repository: REPOSITORY, ref: MAIN, sha: commit.sha }, 'backfill');
      await world.settle();
      return outcomeOf(eventId);
    };
    const outcomes: string[] = [];
    for (const commit of [a, b, a, b, a]) outcomes.push(await report(commit));
    expect(outcomes).toEqual([1, 2, 3, 4, 5].map((number) => `Run web-${number} began`));
    expect(world.versionsOf('canary')).toEqual([(await world.run(1)).version]);
  });

  it('that went away and came back before anybody looked is delivered again', async () => {
    const [a, b] = [world.commit(), world.commit()];
    await world.push({}, a);
    await world.settle();
    await world.push({}, b);
    await world.settle();
    await world.quarantine(true);
    const away = await world.push({}, a);
    const back = await world.push({}, b);
    await world.quarantine(false);
    await world.settle();
    expect(await outcomeOf(away.eventId)).toMatch(/^0001\w+ is no longer the head of refs\/heads\/main; run web-1 is of this commit$/);
    expect(await outcomeOf(back.eventId)).toBe('Run web-3 began');
  });

  it.each([true, false])('back to an earlier commit is a push of its own (told with the commit before: %s)', async (told) => {
    await world.deliver();
    const first = [...(world.outside.repositories.get(REPOSITORY.id)?.commits.values() ?? [])][0];
    await world.deliver();
    const { eventId } = await world.push(told ? {} : { before: null }, first);
    await world.settle();
    expect(await outcomeOf(eventId)).toBe('Run web-3 began');
    expect(world.versionsOf('canary')).toEqual([(await world.run(1)).version]);
  });
});

describe('an app', () => {
  it('belongs to the repository that it was first seen with', async () => {
    await world.deliver();
    const { eventId } = await world.push({ repository: { id: '666', name: 'mallory/web', url: 'https://git.example.org/mallory/web' } });
    await world.settle();
    expect(await outcomeOf(eventId)).toMatch(/^App web belongs to repository acme\/web \(4711\); mallory\/web \(666\) starts nothing$/);
    expect(await world.runs()).toHaveLength(1);
  });

  it('does not begin with the name of a package that hosts cannot do without', async () => {
    for (const name of ['acme/libc6', 'acme/Bash.git']) {
      const { eventId } = await world.push({ repository: { id: name, name, url: `https://git.example.org/${name}` } });
      await world.settle();
      expect(await outcomeOf(eventId)).toMatch(
        /^App (libc6|bash) would have a package of the name of one that hosts cannot do without; rename/,
      );
    }
    expect(await world.runs()).toHaveLength(0);
  });

  it('is taken from the same repository by another id when the config gave the pipeline another trigger, and only then', async () => {
    await world.deliver();
    const others = { ...REPOSITORY, id: '/srv/git/web.git' };
    const recreated = await world.push({ repository: others, instance: 'github' });
    await world.settle();
    expect(await outcomeOf(recreated.eventId)).toMatch(/^App web belongs to repository acme\/web \(4711\); .* starts nothing$/);
    const { sha, eventId } = await world.push({ repository: others, instance: 'local' });
    await world.settle();
    expect(await outcomeOf(eventId)).toBe('Run web-2 began');
    expect(await world.run(2)).toMatchObject({ sha, waitingFor: 'promotion' });
    expect((await world.records.list('audit')).map(({ action }) => action)).toContain('app.rebind');
  });

  it('goes on with a pipeline of another name when the config has renamed it, and with another branch when it takes that alone', async () => {
    await world.deliver();
    world.pipelineName = 'shop';
    const renamed = await world.push();
    await world.settle();
    expect(await outcomeOf(renamed.eventId)).toBe('Run web-2 began');
    const trunk = parseRefName('refs/heads/trunk');
    const both = await world.push({ ref: trunk });
    await world.settle();
    expect(await outcomeOf(both.eventId)).toBe(`App web is delivered from ${MAIN}; ${trunk} may not feed its rings too`);
    world.takesRef = (ref) => ref === trunk;
    const moved = await world.push({ ref: trunk });
    await world.settle();
    expect(await outcomeOf(moved.eventId)).toBe('Run web-3 began');
    const rebinds = (await world.records.list('audit')).filter(({ action }) => action === 'app.rebind');
    expect(rebinds.map(({ detail }) => detail)).toMatchObject([
      { from: { pipeline: 'web', ref: MAIN }, to: { pipeline: 'shop', ref: MAIN } },
      { from: { pipeline: 'shop', ref: MAIN }, to: { pipeline: 'shop', ref: trunk } },
    ]);
  });

  it('keeps its repository when that is renamed elsewhere', async () => {
    await world.deliver();
    await world.push({ repository: { ...REPOSITORY, name: 'moved/web' } });
    await world.settle();
    expect(await world.runs()).toHaveLength(2);
  });

  it('is delivered from one ref', async () => {
    await world.deliver();
    const { eventId } = await world.push({ ref: 'refs/heads/feature/login' });
    await world.settle();
    expect(await outcomeOf(eventId)).toMatch(
      /^App web is delivered from refs\/heads\/main; refs\/heads\/feature\/login may not feed its rings too$/,
    );
    expect(await world.runs()).toHaveLength(1);
  });

  it('may be delivered from a branch with a slash', async () => {
    await world.push({ ref: 'refs/heads/release/2026' });
    await world.settle();
    expect(await world.run(1)).toMatchObject({ ref: 'refs/heads/release/2026', waitingFor: 'promotion' });
    expect(await world.records.get('apps', { app: APP })).toMatchObject({ ref: 'refs/heads/release/2026' });
  });
});

describe('an event that begins nothing says why', () => {
  it('when the ref was deleted', async () => {
    await world.deliver();
    await world.deleteRef();
    await world.settle();
    expect((await world.records.list('events')).at(-1)?.outcome).toBe('refs/heads/main was deleted');
    expect(await world.runs()).toHaveLength(1);
  });

  it('when a ref is made again at the commit it had, it is a push', async () => {
    await world.deliver();
    await world.deliver();
    const { sha } = await world.run(2);
    await world.deleteRef();
    await world.settle();
    world.outside.repositories.get(REPOSITORY.id)?.refs.set(MAIN, sha);
    const { eventId } = await world.tell({ repository: REPOSITORY, ref: MAIN, sha });
    await world.settle();
    expect(await outcomeOf(eventId)).toBe('Run web-3 began');
  });

  it('when no pipeline takes it', async () => {
    const { eventId } = await world.push({ ref: 'refs/tags/v1' });
    await world.settle();
    expect(await outcomeOf(eventId)).toBe('No pipeline takes refs/tags/v1 of acme/web');
  });

  it('when the repository is refused for good', async () => {
    failCalls(world.outside, 'sources.readHead', 'stop');
    const { eventId } = await world.push();
    await world.settle();
    expect(await outcomeOf(eventId)).toBe('SIMULATED_REFUSED: sources.readHead is refused');
  });

  it.each([
    [{ type: 'alarm', alarm: { id: 'a', firing: true, since: '2026-01-01T00:00:00.000Z', labels: {} } }, 'alarm'],
    [{ type: 'command', command: { userId: 'u', words: ['promote'], replyTo: 'c' } }, 'command'],
  ] as const)('when nothing listens to it', async (inbound, type) => {
    const { eventId } = await world.receive(inbound);
    await world.settle();
    expect(await outcomeOf(eventId)).toBe(`Nothing in this installation listens to ${type} events`);
  });
});

it('a hint of the CI is a reason to look now, and never a result', async () => {
  await world.push({ plan: { inspections: 12 } });
  await world.until(() => (world.outside.builds[0]?.inspections ?? 0) >= 10);
  const looked = world.calls('ci.inspect');
  const { time } = world.clock;
  const key = world.outside.builds[0]?.key ?? '';
  await world.receive({ type: 'build', key });
  await world.until(() => world.calls('ci.inspect') > looked);
  expect(world.clock.time).toBe(time);
  expect(await world.run(1)).toMatchObject({ stage: 'build', state: 'active' });
});

describe('quarantine', () => {
  const effects = (): number =>
    ['ci.start', 'packager.package', 'repository.publish', 'repository.offer', 'advertiser.write', 'deployer.start'].reduce(
      (sum, name) => sum + world.calls(name),
      0,
    );

  it('keeps events and begins no run until a person lifts it', async () => {
    await world.quarantine(true);
    const { eventId } = await world.push();
    await world.pass(60_000);
    expect(await eventOf(eventId)).toMatchObject({ state: 'received' });
    expect(await world.runs()).toEqual([]);
    await world.quarantine(false);
    await world.settle();
    expect(await world.run(1)).toMatchObject({ waitingFor: 'promotion' });
  });

  it.each(['ci.inspect', 'packager.package', 'repository.publish', 'repository.offer', 'advertiser.write', 'deployer.inspect'])(
    'stops a run under way behind %s, over a restart too',
    async (call) => {
      failCalls(world.outside, call, 'retry');
      await world.push();
      await world.until(() => world.calls(call) === 1);
      await world.quarantine(true);
      const before = effects();
      await world.pass(60_000);
      world.crash();
      await world.pass(60_000);
      expect(effects()).toBe(before);
      await world.quarantine(false);
      await world.settle();
      expect(await world.run(1)).toMatchObject({ waitingFor: 'promotion' });
    },
  );

  it('leaves clean-ups alone', async () => {
    await world.push({ plan: { inspections: 600 } });
    await world.until(() => world.outside.builds.length === 1);
    await world.quarantine(true);
    await world.pass(60_000);
    expect(world.calls('effects.removeFolder')).toBe(0);
  });
});

it('clean-ups that cannot be done keep no other from being done', async () => {
  const createdAt = '2025-01-01T00:00:00.000Z';
  await world.records.transaction(async (transaction) => {
    for (let count = 0; count < 60; count += 1) {
      const id = `folder-${String(count).padStart(2, '0')}`;
      const operationId = 'gone' as Parameters<typeof transaction.insert<'cleanups'>>[1]['operationId'];
      await transaction.insert('cleanups', { id, kind: 'folder', target: id, operationId, createdAt, lastError: null });
    }
  });
  for (let count = 0; count < 59; count += 1) world.outside.stuckFolders.add(`folder-${String(count).padStart(2, '0')}`);
  await world.until(async () => (await world.records.list('cleanups', { where: { lastError: null } })).length === 0);
  expect(await world.records.list('cleanups')).toHaveLength(59);
});
