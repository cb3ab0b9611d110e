import type { HookRequest, Received } from '@pipit/core';
import { createTestCall } from '@pipit/plugin-testing';
import { describe, expect, it } from 'vitest';
import { goodConfig, openPlugin } from './open-plugin.js';
import { delivery, push, RECORDED_SERVERS, recorded, recordedEvents, sha, sign, without } from './signed-deliveries.js';

const refusal = (received: Received) => ('refused' in received ? [received.status, received.code] : 'accepted');

const receiverOf = async (settings: Parameters<typeof openPlugin>[0]) => {
  const { receive } = await openPlugin(settings);
  if (receive === undefined) throw new Error('the instance has no hook');
  return (request: HookRequest) => receive(request, createTestCall());
};

const eventOf = (received: Received) => {
  if ('refused' in received) throw new Error(received.refused);
  const [inbound] = received.accepted;
  if (inbound?.type !== 'change') throw new Error('no change was told');
  return inbound.event;
};

describe('every recorded delivery of GitHub', () => {
  const pushes = RECORDED_SERVERS.flatMap((server) => recorded(server, 'push').map((body, index) => [`${server} ${index}`, body] as const));

  it('is there to be tried: seven of GitHub.com, and those of five Enterprise Servers', () => {
    expect(pushes.length).toBe(14);
  });

  it.each(pushes)('push %s becomes a change event', async (_name, body) => {
    const receive = await receiverOf({ ...goodConfig, repositories: { 'codertocat/hello-world': {} } });
    const received = await receive(delivery(body));
    const zeros = (value: unknown) => (value === sha('0') ? undefined : value);
    expect(eventOf(received)).toEqual({
      key: expect.stringMatching(/^push:[0-9a-f]{64}$/),
      delivery: '72d3162e-cc78-11e3-81ab-4c9367dc0958',
      repository: {
        id: body.repository instanceof Object && 'id' in body.repository ? `${body.repository.id}` : '',
        name: 'codertocat/hello-world',
        url: 'https://github.com/codertocat/hello-world.git',
      },
      ref: body.ref,
      sha: zeros(body.after) ?? null,
      ...(zeros(body.before) === undefined ? {} : { before: body.before }),
      author: 'Codertocat',
    });
  });

  it.each(pushes)('push %s is refused with one byte changed', async (_name, body) => {
    const receive = await receiverOf({ ...goodConfig, repositories: { 'codertocat/hello-world': {} } });
    const good = delivery(body);
    const bytes = Uint8Array.from(good.body);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    expect(refusal(await receive({ ...good, body: bytes }))).toEqual([401, 'GITHUB_SIGNATURE_WRONG']);
  });

  it.each(RECORDED_SERVERS)('of another event than push starts nothing, and is answered well: %s', async (server) => {
    const receive = await receiverOf({ ...goodConfig, repositories: { 'codertocat/hello-world': {} } });
    for (const event of recordedEvents(server).filter((name) => name !== 'push'))
      for (const body of recorded(server, event))
        expect(await receive(delivery(body, { 'x-github-event': event })), event).toMatchObject({ accepted: [], answer: { status: 200 } });
  });
});

describe('the webhook of GitHub', () => {
  it.each([
    ['GET', { ...delivery(push), method: 'GET' }, [400, 'GITHUB_METHOD_WRONG']],
    ['no content type', without(delivery(push), 'content-type'), [415, 'GITHUB_CONTENT_TYPE']],
    ['a form', delivery(push, { 'content-type': 'application/x-www-form-urlencoded' }), [415, 'GITHUB_CONTENT_TYPE']],
    ['no signature', without(delivery(push), 'x-hub-signature-256'), [401, 'GITHUB_SIGNATURE_MISSING']],
    [
      'the old signature alone',
      without(delivery(push, { 'x-hub-signature': sha('a') }), 'x-hub-signature-256'),
      [401, 'GITHUB_SIGNATURE_MISSING'],
    ],
    ['a signature of another kind', delivery(push, { 'x-hub-signature-256': `sha1=${sha('a')}` }), [401, 'GITHUB_SIGNATURE_WRONG']],
    ['a signature by another secret', delivery(push, {}, 'x'.repeat(20)), [401, 'GITHUB_SIGNATURE_WRONG']],
    ['a wrong signature around a broken body', delivery('{', { 'x-hub-signature-256': 'sha256=00' }), [401, 'GITHUB_SIGNATURE_WRONG']],
    ['an unsigned ping', delivery({ zen: 'x' }, { 'x-github-event': 'ping' }, 'x'.repeat(20)), [401, 'GITHUB_SIGNATURE_WRONG']],
    ['an empty body', delivery(''), [401, 'GITHUB_SIGNATURE_WRONG']],
    ['bytes that are no UTF-8', delivery(Buffer.from([0x7b, 0xff, 0x7d])), [400, 'GITHUB_BODY_BROKEN']],
    ['no delivery id', without(delivery(push), 'x-github-delivery'), [400, 'GITHUB_DELIVERY_MISSING']],
    ['a delivery id with a line break', delivery(push, { 'x-github-delivery': `${'a'.repeat(20)}\n` }), [400, 'GITHUB_DELIVERY_MISSING']],
    ['broken JSON', delivery('{"ref"'), [400, 'GITHUB_BODY_BROKEN']],
    ['an array', delivery([]), [400, 'GITHUB_BODY_BROKEN']],
    ['no ref', delivery({ ...push, ref: undefined }), [400, 'GITHUB_BODY_BROKEN']],
    ['a short ref', delivery({ ...push, ref: 'main' }), [400, 'GITHUB_BODY_BROKEN']],
    ['a commit that is an option', delivery({ ...push, after: '--upload-pack=id' }), [400, 'GITHUB_BODY_BROKEN']],
    ['no commit at all', delivery({ ...push, before: sha('0'), after: sha('0') }), [400, 'GITHUB_BODY_BROKEN']],
    ['an id that is a text', delivery({ ...push, repository: { ...push.repository, id: '42' } }), [400, 'GITHUB_BODY_BROKEN']],
    ['an unknown repository', delivery({ ...push, repository: { id: 43, full_name: 'acme/other' } }), [404, 'GITHUB_REPOSITORY_UNKNOWN']],
  ])('refuses %s', async (_name, request, expected) => {
    const receive = await receiverOf(goodConfig);
    expect(refusal(await receive(request))).toEqual(expected);
  });

  it('answers a ping, and says that the secret fits', async () => {
    const receive = await receiverOf(goodConfig);
    expect(await receive(delivery({ zen: 'Keep it logically awesome.' }, { 'x-github-event': 'ping' }))).toEqual({
      accepted: [],
      answer: { status: 200, body: 'pong: the secret fits' },
    });
  });

  it('verifies the raw bytes: another writing of the same JSON, a byte order mark, letters beyond ASCII', async () => {
    const receive = await receiverOf(goodConfig);
    const written = JSON.stringify({ ...push, pusher: { name: 'Ädä 🐦' } }, null, 3);
    expect(eventOf(await receive(delivery(written))).author).toBe('Ädä 🐦');
    // Signed with the mark, verified with it; JSON does not allow it.
    expect(refusal(await receive(delivery(`\ufeff${written}`)))).toEqual([400, 'GITHUB_BODY_BROKEN']);
    const reordered = { ...delivery(written), body: Buffer.from(JSON.stringify(JSON.parse(written))) };
    expect(refusal(await receive(reordered))).toEqual([401, 'GITHUB_SIGNATURE_WRONG']);
  });

  it('takes the address from the config, never from the body', async () => {
    const receive = await receiverOf({ ...goodConfig, url: 'https://github.example.org/' });
    expect(eventOf(await receive(delivery({ ...push, pusher: { name: 'Eve\u001b[2J\n' } })))).toEqual({
      key: expect.stringMatching(/^push:[0-9a-f]{64}$/),
      delivery: '72d3162e-cc78-11e3-81ab-4c9367dc0958',
      repository: { id: '42', name: 'acme/web', url: 'https://github.example.org/acme/web.git' },
      ref: 'refs/heads/main',
      sha: sha('2'),
      before: sha('1'),
      author: 'Eve [2J',
    });
  });

  it('tells a repository hook and an organisation hook of one push in events that differ by key and delivery alone', async () => {
    const receive = await receiverOf({
      ...goodConfig,
      repositories: { 'acme/web': { secret: 'the own secret of web' } },
    });
    const ofRepository = eventOf(await receive(delivery(push, {}, 'the own secret of web')));
    const ofOrganisation = eventOf(
      await receive(
        delivery(
          { ...push, organization: { login: 'acme', id: 9 } },
          { 'x-github-delivery': '11111111-cc78-11e3-81ab-4c9367dc0958', 'x-github-hook-installation-target-type': 'organization' },
        ),
      ),
    );
    const { key, delivery: id, ...rest } = ofOrganisation;
    expect(ofRepository).toMatchObject(rest);
    expect(id).toBe('11111111-cc78-11e3-81ab-4c9367dc0958');
    expect(key).not.toBe(ofRepository.key);
  });

  it('takes two secrets while one is being replaced, and no third', async () => {
    const receive = await receiverOf({ ...goodConfig, previousSecret: 'the secret before it' });
    expect(refusal(await receive(delivery(push)))).toBe('accepted');
    expect(refusal(await receive(delivery(push, {}, 'the secret before it')))).toBe('accepted');
    expect(refusal(await receive(delivery(push, {}, 'the secret before that')))).toEqual([401, 'GITHUB_SIGNATURE_WRONG']);
  });

  it('does not let the secret of one repository sign for another', async () => {
    const repositories = {
      'acme/web': { secret: 'the own secret of web' },
      'acme/bank': { secret: 'the own secret of bank', previousSecret: 'the older secret of bank' },
    };
    const receive = await receiverOf({ repositories });
    const bank = { ...push, repository: { id: 43, full_name: 'acme/bank' } };
    expect(refusal(await receive(delivery(bank, {}, 'the own secret of bank')))).toBe('accepted');
    expect(refusal(await receive(delivery(bank, {}, 'the older secret of bank')))).toBe('accepted');
    expect(refusal(await receive(delivery(bank, {}, 'the own secret of web')))).toEqual([401, 'GITHUB_SIGNATURE_WRONG']);
  });

  it('knows a renamed repository by its id, and not the one that took over its name', async () => {
    const receive = await receiverOf({ ...goodConfig, repositories: { 'acme/web': { id: 42 } } });
    const renamed = { ...push, repository: { id: 42, full_name: 'acme/website' } };
    expect(eventOf(await receive(delivery(renamed))).repository).toEqual({
      id: '42',
      name: 'acme/web',
      url: 'https://github.com/acme/web.git',
    });
    const impostor = { ...push, repository: { id: 99, full_name: 'acme/web' } };
    expect(refusal(await receive(delivery(impostor)))).toEqual([404, 'GITHUB_REPOSITORY_UNKNOWN']);
  });

  it.each([
    ['a new branch', { before: sha('0') }, { sha: sha('2') }],
    ['a deleted branch', { after: sha('0'), deleted: true }, { sha: null, before: sha('1') }],
    ['a force push', { forced: true }, { sha: sha('2'), before: sha('1') }],
    ['a tag', { ref: 'refs/tags/v1.0', before: sha('0') }, { ref: 'refs/tags/v1.0', sha: sha('2') }],
    ['SHA-256 commits', { before: '0'.repeat(64), after: 'a'.repeat(64) }, { sha: 'a'.repeat(64) }],
  ])('tells %s', async (_name, change, expected) => {
    const receive = await receiverOf(goodConfig);
    const event = eventOf(await receive(delivery({ ...push, ...change })));
    expect(event).toMatchObject(expected);
    if (!('before' in expected)) expect(event).not.toHaveProperty('before');
  });

  it('has no hook where no secret is given: polling alone needs no inbound port', async () => {
    expect((await openPlugin({ repositories: { 'acme/web': {} } })).receive).toBeUndefined();
  });

  it('signs in the test as GitHub documents it', () => {
    expect(sign(Buffer.from('Hello, World!'), "It's a Secret to Everybody")).toBe(
      'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
    );
  });
});
