import { createRedactor } from '@pipit/plugin-kit';
import { beforeEach, describe, expect, it } from 'vitest';
import { refuseSecrets } from '../src/refuse-secrets.js';
import { type CommandOutput, openCommandOutput } from '../src/work/command-output.js';

const SECRET = 'hunter2-of-production';
const redactor = createRedactor();
redactor.register(SECRET);

describe('what a command prints', () => {
  let shown: string[];
  let output: CommandOutput;
  beforeEach(() => {
    shown = [];
    output = openCommandOutput(redactor, (text) => shown.push(text));
  });

  it('shows neither half of a secret, also where the other stream comes in between', () => {
    output.write('a hunter2-of', 'stdout');
    output.write('warning\n', 'stderr');
    output.write('-production b', 'stdout');
    output.end();
    expect(shown).toEqual(['a ', 'warning\n', '[secret] b']);
  });

  it('shows at its end what was no secret after all', () => {
    output.write('a hunter2-of', 'stderr');
    output.end();
    expect(shown.join('')).toBe('a hunter2-of');
  });
});

describe('what a plugin returns', () => {
  const base64 = Buffer.from(`robot:${SECRET}`).toString('base64');
  const cycle: Record<string, unknown> = { handle: 'a' };
  cycle.self = cycle;
  let deep: unknown = { url: 'fine' };
  for (let level = 0; level < 100_000; level += 1) deep = [deep];

  it.each([
    ['a handle', `42:${SECRET}`, 'its result'],
    ['an address', { state: 'running', url: `https://ci/?token=${encodeURIComponent(SECRET)}` }, 'url'],
    ['a deeper field', { state: 'ended', result: { outputs: [{ name: 'a' }, { name: base64 }] } }, 'result.outputs.1.name'],
    ['hexadecimal', { handle: Buffer.from(SECRET).toString('hex') }, 'handle'],
    ['a key', { labels: { [SECRET]: '1' } }, 'a key of labels'],
    ['what a text for people holds', { reason: { handle: SECRET } }, 'reason.handle'],
  ])('is refused when a secret stands in %s, without naming the secret', (_what, value, path) => {
    const refused = (): void => refuseSecrets(redactor, value, 'jenkins (start)');
    expect(refused).toThrow(expect.objectContaining({ code: 'PLUGIN_RETURNED_SECRET', recovery: 'stop' }));
    expect(refused).toThrow(`jenkins (start) returned a secret of the config in ${path}`);
    expect(refused).not.toThrow(SECRET);
  });

  it.each([
    ['no secret', { handle: '42', url: 'https://ci/job/42' }],
    ['a text for people, which is hidden when it is stored', { state: 'lost', reason: `said ${SECRET}`, raw: SECRET }],
    ['a value that contains itself', cycle],
    ['what is nested deeper than the stack', deep],
    ['nothing', undefined],
  ])('is taken when it is %s', (_what, value) => expect(() => refuseSecrets(redactor, value, 'jenkins (start)')).not.toThrow());
});
