/** How much of each stream a result keeps. */
export const MAX_OUTPUT_BYTES = 1024 * 1024;
/** A program that prints byte by byte must not make a list of a million pieces. */
const MAX_PIECES = 1024;

/** Keeps the last bytes of a stream, whatever its length. */
export interface OutputTail {
  add(chunk: Uint8Array): void;
  /** The kept bytes as UTF-8; a character that the cut went through is left out. */
  text(): string;
}

const isContinuationByte = (byte: number): boolean => (byte & 0xc0) === 0x80;

export const createOutputTail = (maxBytes: number = MAX_OUTPUT_BYTES): OutputTail => {
  let chunks: Uint8Array[] = [];
  let size = 0;
  let isCut = false;
  return {
    add(chunk) {
      chunks.push(chunk);
      size += chunk.length;
      if (chunks.length < MAX_PIECES && size < 2 * maxBytes) return;
      isCut ||= size > maxBytes;
      const kept = Buffer.concat(chunks).subarray(Math.max(0, size - maxBytes));
      chunks = [kept];
      size = kept.length;
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
