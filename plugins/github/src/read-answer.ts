import { PluginError } from '@pipit/core';
import type { z } from 'zod';

/** What is used of an answer of the API. Throws `GITHUB_ANSWER_UNREADABLE` when it is not there. */
export const readAnswer = <T>(schema: z.ZodType<T>, value: unknown, route: string): T => {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new PluginError({
    code: 'GITHUB_ANSWER_UNREADABLE',
    message: `GitHub's answer to ${route} lacks ${parsed.error.issues[0]?.path.join('.') || 'a value'}`,
    hint: 'Look whether `url` and `apiUrl` are those of a GitHub and not of a proxy in front of it.',
    recovery: route.startsWith('GET ') ? 'stop' : 'reconcile',
  });
};
