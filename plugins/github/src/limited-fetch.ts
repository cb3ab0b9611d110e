/** Some hundred times what the calls of this plugin are answered. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** Node's fetch, whose answers fail beyond a size: what is in GitHub's place must not fill the memory. */
export const limitedFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  if (response.body === null) return response;
  let size = 0;
  const body = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, controller) => {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) throw new RangeError(`The answer has more than ${MAX_ANSWER_BYTES} bytes`);
        controller.enqueue(chunk);
      },
    }),
  );
  return new Response(body, response);
};
