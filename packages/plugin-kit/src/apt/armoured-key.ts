const BLOCK = /-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n([\s\S]*?)-----END PGP PUBLIC KEY BLOCK-----/g;

/** Whether a text holds an armoured public key. */
export const isArmouredKey = (text: string): boolean => new RegExp(BLOCK.source).test(text);

/** The keyring file that `gpgv` and `signed-by` read, of armoured public keys: their packets one after another. Source: RFC 9580, 6.2. */
export const keyringOf = (armoured: readonly string[]): Uint8Array => {
  const blocks = armoured.flatMap((text) => [...text.matchAll(BLOCK)].map(([, body]) => body ?? ''));
  return Buffer.concat(
    blocks.map((body) => {
      const lines = body.split(/\r?\n/);
      const empty = lines.findIndex((line) => line.trim() === '');
      // A line with `=` in front is a checksum; headers end with an empty line.
      const base64 = lines.slice(empty < 0 ? 0 : empty + 1).filter((line) => !line.startsWith('='));
      return Buffer.from(base64.join(''), 'base64');
    }),
  );
};
