import { z } from 'zod';

/** What is read of a push. Source: GitHub's webhook event `push`; fields beside these are let through. */
const pushBody = z.object({
  repository: z.object({ id: z.int().min(1), full_name: z.string().min(1).max(200) }),
  ref: z.string().max(1_024),
  before: z.string().max(64),
  after: z.string().max(64),
  pusher: z.object({ name: z.string().max(500).optional() }).optional(),
  sender: z.object({ login: z.string().max(500) }).nullish(),
});

export type PushBody = z.output<typeof pushBody>;

/** The body of a push, or a sentence that says what is wrong with it. */
export const parsePushBody = (text: string): PushBody | { readonly problem: string } => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: 'The body is not JSON' };
  }
  const parsed = pushBody.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return { problem: `The body's ${issue?.path.join('.') || 'value'} is not as expected: ${issue?.message ?? ''}` };
};
