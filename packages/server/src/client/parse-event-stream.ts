export interface StreamEvent {
  readonly type: 'event';
  /** `message` unless named. */
  readonly event: string;
  readonly id: string | undefined;
  readonly data: string;
}

/** Something came, be it a comment: the other side lives. */
export interface SignOfLife {
  readonly type: 'alive';
}

/** Longer than any event of pipit's by far; a stream without a blank line is none of pipit's. */
const MAX_EVENT_LENGTH = 1024 * 1024;

const parseBlock = (block: string): StreamEvent | SignOfLife => {
  let event = 'message';
  let id: string | undefined;
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') event = value;
    else if (field === 'id') id = value;
    else if (field === 'data') data.push(value);
  }
  return data.length === 0 ? { type: 'alive' } : { type: 'event', event, id, data: data.join('\n') };
};

/** Server-sent events out of pieces of text that are cut anywhere. Source: the HTML standard, "Parsing an event stream"; `retry` is passed over. */
export const createEventStreamParser = (): ((piece: string) => readonly (StreamEvent | SignOfLife)[]) => {
  /** Of the event that has not ended; looked at again only when it ends, so that many small pieces cost no more than a large one. */
  let open: string[] = [];
  let openLength = 0;
  let last = '';
  let held = '';
  return (piece) => {
    // A `\r` at the very end may be half of a `\r\n`: it waits for the next piece.
    const text = held + piece;
    held = text.endsWith('\r') ? '\r' : '';
    const fresh = text.slice(0, text.length - held.length).replace(/\r\n?/g, '\n');
    open.push(fresh);
    openLength += fresh.length;
    const mayEnd = `${last}${fresh}`.includes('\n\n');
    last = fresh.slice(-1) || last;
    const blocks = mayEnd ? open.join('').split('\n\n') : [];
    if (mayEnd) {
      const rest = blocks.pop() ?? '';
      open = [rest];
      openLength = rest.length;
      last = rest.slice(-1);
    }
    if (openLength > MAX_EVENT_LENGTH) throw new RangeError('An event of the stream does not end');
    return blocks.map(parseBlock);
  };
};
