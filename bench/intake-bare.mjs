// What intake.mjs compares with: fastify that verifies the signature, parses the body and answers. With a database it stores first: an event and a
// chained audit line a delivery, those of all that wait in one statement. Nothing else of what pipit does is done: it is the least that storing costs.
import { createHash, createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import Fastify from 'fastify';
import pg from 'pg';
import { answerMessages, childData } from './support/child.mjs';

const TABLES = `
  create table bare_events (id text primary key, instance text not null, key text not null, body jsonb not null, received_at timestamptz not null,
    unique (instance, key));
  create table bare_audit (id bigint generated always as identity primary key, detail jsonb not null, hash text not null)`;
const STORE = `with told as (select * from unnest($1::text[], $2::text[], $3::jsonb[], $4::text[]) as t (id, key, body, hash)),
  events as (insert into bare_events select id, 'bare', key, body, now() from told on conflict do nothing returning id)
  insert into bare_audit (detail, hash) select jsonb_build_object('event', id, 'key', key), hash from told where id in (select id from events)`;

const { secret, databaseUrl } = childData();

/** Stores what came while the statement before was under way; resolves when it is durable. */
const openStore = async () => {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(TABLES);
  let last = '';
  let waiting = [];
  let isBusy = false;
  const drain = async () => {
    isBusy = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const hashes = batch.map(({ key }) => {
        last = createHash('sha256').update(last).update(key).digest('hex');
        return last;
      });
      const of = (name) => batch.map((each) => each[name]);
      await client.query({ name: 'store', text: STORE, values: [of('id'), of('key'), of('body'), hashes] });
      for (const { done } of batch) done();
    }
    isBusy = false;
  };
  return {
    add: (event) =>
      new Promise((done) => {
        waiting.push({ ...event, done });
        // What else came with this turn of the event loop goes with it.
        if (!isBusy) setImmediate(() => (isBusy ? undefined : drain()));
      }),
    close: () => client.end(),
  };
};
const store = databaseUrl === undefined ? undefined : await openStore();

const app = Fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/hooks/:instance', async (request, reply) => {
  const expected = Buffer.from(`sha256=${createHmac('sha256', secret).update(request.body).digest('hex')}`);
  const given = Buffer.from(request.headers['x-pipit-signature-256'] ?? '');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return reply.code(401).send({});
  const body = request.body.toString();
  JSON.parse(body);
  const id = randomUUID();
  await store?.add({ id, key: request.headers['x-pipit-delivery'], body });
  return reply.code(202).send({ eventIds: [id], repeated: false });
});
await app.listen({ host: '127.0.0.1', port: 0 });
answerMessages(
  async () => app.server.address().port,
  async () => {
    await app.close();
    await store?.close();
  },
);
