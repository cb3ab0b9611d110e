// The sender of intake.mjs, in a process of its own so that its CPU time is not the server's.
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerMessages } from './support/child.mjs';
import { openConnection } from './support/raw-http.mjs';

/** A push to a branch of its own that no pipeline wants: signed, with a delivery id of its own. What follows from it is one update. */
const signedDelivery = ({ port, path, repository, secret }) => {
  const branch = randomUUID();
  const body = JSON.stringify({
    repository: { name: repository },
    ref: `refs/heads/${branch}`,
    before: randomBytes(20).toString('hex'),
    after: randomBytes(20).toString('hex'),
    author: 'bench',
  });
  const signature = createHmac('sha256', secret).update(body).digest('hex');
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n` +
      `X-Pipit-Delivery: ${randomUUID()}\r\nX-Pipit-Signature-256: sha256=${signature}\r\n\r\n${body}`,
  );
};

const check = ({ status, body }, ids) => {
  if (status !== 202) throw new Error(`answered ${status}: ${body}`);
  const { eventIds } = JSON.parse(body);
  ids.add(eventIds[0]);
};

/** So many clients, each sending its next delivery when the last one is answered. */
const closedLoop = async (target, { clients, count }) => {
  const deliveries = Array.from({ length: count }, () => signedDelivery(target));
  const connections = await Promise.all(Array.from({ length: clients }, () => openConnection(target.port)));
  const ids = new Set();
  const times = [];
  let next = 0;
  const from = performance.now();
  await Promise.all(
    connections.map(async (connection) => {
      while (next < count) {
        const delivery = deliveries[next];
        next += 1;
        const sentAt = performance.now();
        const answer = await connection.send(delivery);
        times.push(performance.now() - sentAt);
        check(answer, ids);
      }
    }),
  );
  const elapsedMs = performance.now() - from;
  for (const connection of connections) connection.close();
  return { elapsedMs, times, distinct: ids.size };
};

/** Deliveries at fixed times, whether or not earlier ones are answered; a time counts from when it was due, so that a stall counts for all that it held up. */
const openLoop = async (target, { perSecond, count }) => {
  const deliveries = Array.from({ length: count }, () => signedDelivery(target));
  const idle = await Promise.all(Array.from({ length: 8 }, () => openConnection(target.port)));
  const ids = new Set();
  const times = [];
  const answers = [];
  const from = performance.now() + 50;
  for (const [index, delivery] of deliveries.entries()) {
    const dueAt = from + (index * 1000) / perSecond;
    while (performance.now() < dueAt) await sleep(Math.max(0, Math.floor(dueAt - performance.now())));
    answers.push(
      (async () => {
        const connection = idle.pop() ?? (await openConnection(target.port));
        const answer = await connection.send(delivery);
        times.push(performance.now() - dueAt);
        idle.push(connection);
        check(answer, ids);
      })(),
    );
  }
  await Promise.all(answers);
  for (const connection of idle) connection.close();
  return { elapsedMs: performance.now() - from, times, distinct: ids.size };
};

answerMessages(({ target, ...load }) => (load.type === 'closed' ? closedLoop(target, load) : openLoop(target, load)));
