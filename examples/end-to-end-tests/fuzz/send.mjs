import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';

/** Longer than the server takes for anything; a request that is not answered by then counts as hanging. */
const TIMEOUT_MS = 60_000;
/** A broken request may be one of which the server waits for the rest. */
const RAW_TIMEOUT_MS = 300;
const MAX_READ_BYTES = 64 * 1024;

const agents = new Map();
/** Connections are kept, one pool for each address. */
const agentOf = (from) => {
  const agent = agents.get(from) ?? new Agent({ keepAlive: true, localAddress: from });
  agents.set(from, agent);
  return agent;
};

const sendRaw = (port, { from, raw }) =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from });
    let text = '';
    const end = () => {
      socket.destroy();
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text });
    };
    socket.setTimeout(RAW_TIMEOUT_MS, end);
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
      if (text.includes('\r\n\r\n')) end();
    });
    socket.on('error', end);
    socket.on('close', end);
    socket.write(raw, 'latin1');
  });

const sendHttp = (port, { from, method, path, headers, body, chunked }) =>
  new Promise((resolve) => {
    let sent;
    try {
      const length = body === undefined || chunked ? {} : { 'content-length': body.length };
      sent = httpRequest({
        host: '127.0.0.1',
        port,
        agent: agentOf(from),
        method,
        path,
        headers: { ...length, ...headers },
        timeout: TIMEOUT_MS,
      });
    } catch {
      // Node's client takes no such path or header; the raw requests have theirs.
      resolve({ status: 0, text: '', notSent: true });
      return;
    }
    let answered = false;
    const done = (answer) => {
      if (answered) return;
      answered = true;
      resolve(answer);
    };
    const cut = (answer) => {
      done(answer);
      sent.destroy();
    };
    sent.on('timeout', () => cut({ status: 0, text: '', hangs: true }));
    sent.on('error', () => done({ status: 0, text: '' }));
    sent.on('upgrade', () => cut({ status: 101, text: '' }));
    sent.on('response', (response) => {
      const status = response.statusCode;
      let text = '';
      const finish = () => done({ status, text });
      // A live stream has no end.
      if (String(response.headers['content-type']).startsWith('text/event-stream')) {
        cut({ status, text });
        return;
      }
      response.on('data', (piece) => {
        if (text.length < MAX_READ_BYTES) text += piece.toString('latin1');
      });
      response.on('end', finish);
      response.on('error', finish);
    });
    if (body !== undefined) sent.write(body);
    sent.end();
  });

export const send = (port, request) => (request.raw === undefined ? sendHttp(port, request) : sendRaw(port, request));

/** Ends the connections that were kept. */
export const closeConnections = () => {
  for (const agent of agents.values()) agent.destroy();
};
