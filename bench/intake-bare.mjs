// What intake.mjs compares with: fastify that verifies the signature, parses the body, answers, and stores nothing.
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import Fastify from 'fastify';
import { answerMessages, childData } from './support/child.mjs';

const { secret } = childData();
const app = Fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/hooks/:instance', async (request, reply) => {
  const expected = Buffer.from(`sha256=${createHmac('sha256', secret).update(request.body).digest('hex')}`);
  const given = Buffer.from(request.headers['x-pipit-signature-256'] ?? '');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return reply.code(401).send({});
  JSON.parse(request.body.toString());
  return reply.code(202).send({ eventIds: [randomUUID()], repeated: false });
});
await app.listen({ host: '127.0.0.1', port: 0 });
answerMessages(
  async () => app.server.address().port,
  () => app.close(),
);
