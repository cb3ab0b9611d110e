import { z } from 'zod';

/** What the hook sends. Fields beside these are let through, so that a newer hook can talk to an older pipit. */
const pushBody = z.object({
  repository: z.object({ name: z.string().min(1).max(200), url: z.string().max(2_000).optional() }),
  ref: z.string().max(1_024),
  before: z.string().max(64),
  after: z.string().max(64),
  author: z.string().max(500).optional(),
  /** The delivery's id, as in the header: in the body it is signed. */
  delivery: z.string().max(64).optional(),
});

const pingBody = z.object({ ping: z.literal(true) });

export type PushBody = z.infer<typeof pushBody>;

/** The body of a delivery, or a sentence that says what is wrong with it. */
export const parsePushBody = (body: Uint8Array): PushBody | 'ping' | { readonly problem: string } => {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    return { problem: 'The body is not JSON' };
  }
  if (pingBody.safeParse(value).success) return 'ping';
  const parsed = pushBody.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return { problem: `The body's ${issue?.path.join('.') || 'value'} is not as expected: ${issue?.message ?? ''}` };
};
