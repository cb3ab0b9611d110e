import { createConnection } from 'node:net';

/** One kept-alive connection that sends ready-made requests and reads answers with a content length: cheap, so that the load is not what is measured. */
export const openConnection = (port) =>
  new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port, noDelay: true });
    let pending;
    let received = '';
    const fail = (error) => {
      pending?.reject(error);
      reject(error);
    };
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the server closed the connection')));
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      const end = received.indexOf('\r\n\r\n');
      if (end === -1) return;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(received)?.[1] ?? 0);
      if (received.length < end + 4 + length) return;
      const answer = { status: Number(received.slice(9, 12)), body: received.slice(end + 4, end + 4 + length) };
      received = received.slice(end + 4 + length);
      const { resolve: done } = pending;
      pending = undefined;
      done(answer);
    });
    socket.on('connect', () =>
      resolve({
        send: (request) =>
          new Promise((done, failed) => {
            pending = { resolve: done, reject: failed };
            socket.write(request);
          }),
        close: () => socket.destroy(),
      }),
    );
  });
