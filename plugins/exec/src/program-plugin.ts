import { rm } from 'node:fs/promises';
import type { AnyInstance, AnyPlugin, Schema } from '@pipit/core';
import { bindHooks, bindKind } from './bind-kind.js';
import { describeProgram } from './describe-program.js';
import { NOTHING, schemaOf } from './json-schema.js';
import { badAnswer } from './program-error.js';
import type { ProgramKind } from './protocol.js';

/**
 * Makes a plugin of a program in any language: what `uses: exec:./my-ci` in a config means. The program is asked once what it is; after that each
 * call of the plugin runs it once.
 *
 * @param path of the program, absolute
 * @throws PluginError (stop) when it is missing, not executable, or does not describe itself
 */
export const createProgramPlugin = async (path: string): Promise<AnyPlugin> => {
  const description = await describeProgram(path);
  const compile = (where: string, schema: Readonly<Record<string, unknown>> = NOTHING): Schema<unknown> => {
    try {
      return schemaOf(schema);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw badAnswer({ program: path, method: 'describe', recovery: 'stop' }, `${where} is no JSON Schema: ${why}`, error);
    }
  };
  const kinds = Object.keys(description.kinds) as ProgramKind[]; // the schema lets no other key through
  const provides = Object.fromEntries(
    kinds.map((kind) => {
      const described = description.kinds[kind];
      return [kind, { version: 1 as const, options: compile(`kinds.${kind}.options`, described?.options) }];
    }),
  );
  return {
    name: description.name,
    config: compile('config', description.config),
    provides,
    async setup(config: unknown, setup): Promise<AnyInstance> {
      // What a call left that was cut off by a crash.
      await rm(`${setup.folder}/calls`, { recursive: true, force: true });
      const program = { path, description, config, setup };
      const bound = Object.fromEntries(kinds.map((kind) => [kind, bindKind(program, kind)]));
      // The table of methods makes exactly core's interfaces; each answer is parsed when it comes.
      return { ...bound, ...bindHooks(program) } as AnyInstance;
    },
  };
};
