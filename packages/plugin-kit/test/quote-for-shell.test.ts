import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { minimalEnvironment, quoteForShell, runCommand } from '../src/index.js';

const separator = '\u0001';
const through = async (args: readonly string[]): Promise<readonly string[]> => {
  const command = quoteForShell(['printf', `%s${separator}`, ...args]);
  const { stdout } = await runCommand(['/bin/sh', '-c', command], { cwd: '/', env: minimalEnvironment('/') });
  return stdout.split(separator).slice(0, -1);
};

describe('quoteForShell', () => {
  it('gives any arguments through a real shell unchanged', async () => {
    const meaningful = fc.string({ unit: fc.constantFrom(...'\'"`$\\ \n\t*?[]{}()<>|&;#~=!%^-abc0é'.split('')), maxLength: 30 });
    const anything = fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => text.replaceAll('\0', '').replaceAll(separator, ''));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(meaningful, anything), { minLength: 1, maxLength: 6 }), async (args) => {
        expect(await through(args)).toEqual(args);
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  it.each(['if', 'A=b', 'done', '{', '!'])('makes a program of %s, which a shell would read as syntax', async (word) => {
    const { exitCode, stderr } = await runCommand(['/bin/sh', '-c', quoteForShell([word])], { cwd: '/', env: minimalEnvironment('/') });
    expect({ exitCode, stderr }).toEqual({ exitCode: 127, stderr: expect.stringContaining('not found') });
  });

  it('leaves plain words readable', () => {
    expect(quoteForShell(['dpkg', '--install', '/tmp/a_1.0~rc1.deb'])).toBe("dpkg --install '/tmp/a_1.0~rc1.deb'");
  });

  it('refuses a NUL', () => {
    expect(() => quoteForShell(['a\0b'])).toThrow(expect.objectContaining({ code: 'ARGUMENT_HAS_NUL' }));
  });
});
