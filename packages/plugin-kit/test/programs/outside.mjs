// Says hello on port 8080 and answers every question for a name with 203.0.113.7, on all addresses of the network namespace that it runs in.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

createServer((socket) => socket.on('error', () => undefined).end('hello\n')).listen(8080, '0.0.0.0');
const names = createSocket('udp4');
names.on('message', (question, sender) => {
  let end = 12;
  while (question[end] !== 0) end += question[end] + 1;
  const isForAddress = question[end + 2] === 1;
  const answer = Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7]);
  const head = Buffer.from(question.subarray(0, end + 5));
  head.set([0x81, 0x80], 2);
  head.set([0, isForAddress ? 1 : 0, 0, 0, 0, 0], 6);
  names.send(isForAddress ? Buffer.concat([head, answer]) : head, sender.port, sender.address);
});
names.bind(53, '0.0.0.0', () => process.stdout.write('up\n'));
