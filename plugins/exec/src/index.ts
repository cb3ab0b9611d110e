import { rm } from 'node:fs/promises';
import { type AnyInstance, definePlugin, PluginError } from '@pipit/core';
import { bindHooks, bindKind, missingKind } from './bind-kind.js';
import { config, options } from './config.js';
import { describeProgram } from './describe-program.js';
import { NOTHING, schemaOf } from './json-schema.js';
import { METHODS, type ProgramKind } from './protocol.js';

const kind = { version: 1, options } as const;

/**
 * A program at an absolute path as a plugin, whatever its kinds are. `uses: exec:PATH` is the better way: then `pipit check` knows the program's
 * kinds and schemas.
 */
export const plugin = definePlugin({
  name: '@pipit/plugin-exec',
  config,
  provides: {
    trigger: { version: 1 },
    ci: kind,
    packager: kind,
    repository: kind,
    discovery: kind,
    advertiser: kind,
    deployer: kind,
    balancer: kind,
    gate: kind,
    notifier: kind,
  },
  async setup({ program: path, config: own }, setup) {
    await rm(`${setup.folder}/calls`, { recursive: true, force: true });
    const description = await describeProgram(path);
    const result = await schemaOf(description.config ?? NOTHING)['~standard'].validate(own);
    if (result.issues !== undefined)
      throw new PluginError({
        code: 'EXEC_CONFIG_INVALID',
        message: `${path} does not take its config: ${result.issues.map(({ message, path: at }) => `${at?.join('.') ?? ''} ${message}`).join('; ')}`,
        hint: `Correct \`with.config\` of the instance ${setup.instance}.`,
        recovery: 'stop',
      });
    const program = { path, description, config: result.value, setup };
    const kinds = Object.keys(METHODS) as ProgramKind[]; // the table's own keys
    const bound = Object.fromEntries(
      kinds.map((name) => [name, description.kinds[name] === undefined ? missingKind(program, name) : bindKind(program, name)]),
    );
    // The table of methods makes exactly core's interfaces; each answer is parsed when it comes.
    return { ...bound, ...bindHooks(program) } as Required<Pick<AnyInstance, ProgramKind>>;
  },
});

export type { ExecConfig } from './config.js';
export { createProgramPlugin } from './program-plugin.js';
