/** How much of each stream a result keeps. */
export const MAX_OUTPUT_BYTES = 1024 * 1024;

/** Keeps the last bytes of a stream, whatever its length. */
export interface OutputTail {
  add(chunk: Uint8Array): void;
  /** The kept bytes as UTF-8; a character that the cut went through is left out. */
  text(): string;
}

const isContinuationByte = (byte: number): boolean => (byte & 0xc0) === 0x80;

export const createOutputTail = (maxBytes: number = MAX_OUTPUT_BYTES): OutputTail => {
  const chunks: Uint8Array[] = [];
  let size = 0;
  let isCut = false;
  return {
    add(chunk) {
      chunks.push(chunk);
      size += chunk.length;
      for (let first = chunks[0]; first !== undefined && size - first.length >= maxBytes; first = chunks[0]) {
        chunks.shift();
        size -= first.length;
        isCut = true;
      }
    },
    text() {
      let bytes = Buffer.concat(chunks);
      if (bytes.length > maxBytes) {
        bytes = bytes.subarray(bytes.length - maxBytes);
        isCut = true;
      }
      let start = 0;
      while (isCut && start < 3 && isContinuationByte(bytes[start] ?? 0)) start += 1;
      return bytes.subarray(start).toString('utf8');
    },
  };
};
