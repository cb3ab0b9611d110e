import { readFileSync } from 'node:fs';
import { z } from 'zod';

const answerSchema = z.object({
  source: z.string(),
  status: z.int(),
  headers: z.record(z.string(), z.string()),
  body: z.record(z.string(), z.unknown()),
});

export type RecordedAnswer = z.output<typeof answerSchema>;

const file = new URL('../src/__fixtures__/answers.github.com-2022-11-28.json', import.meta.url);
const answers = z.record(z.string(), answerSchema).parse(JSON.parse(readFileSync(file, 'utf8')));

/** What GitHub really answers, as recorded or as its documentation shows it. */
export const recordedAnswer = (name: string): RecordedAnswer => {
  const answer = answers[name];
  if (answer === undefined) throw new Error(`no answer ${name} is recorded`);
  return answer;
};
