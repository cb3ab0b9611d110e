import { type AppName, isSecret } from '@pipit/core';
import type { Part, PipelineDefinition } from '../ports/parts.js';

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
};

const APP_PLACEHOLDER = /\$\{app\}/g;

/** `${app}` in any text of a slot's options becomes the app's name: one pipeline serves many apps. Secrets and other objects stay as they are. */
export const expandOptions = (options: unknown, app: AppName): unknown => {
  if (typeof options === 'string') return options.replace(APP_PLACEHOLDER, app);
  if (Array.isArray(options)) return options.map((each) => expandOptions(each, app));
  if (typeof options !== 'object' || options === null || isSecret(options) || !isPlain(options)) return options;
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [key, expandOptions(value, app)]));
};

/** A pipeline's definition as one app sees it. */
export const definitionFor = (definition: PipelineDefinition, app: AppName): PipelineDefinition => {
  const expand = <Subject>(part: Part<Subject>): Part<Subject> => ({
    ...part,
    options: expandOptions(part.options, app),
    ...(part.on !== undefined && 'service' in part.on ? { on: { ...part.on, discovery: expand(part.on.discovery) } } : {}),
  });
  return {
    ...definition,
    ci: expand(definition.ci),
    packager: expand(definition.packager),
    repository: expand(definition.repository),
    discovery: expand(definition.discovery),
    advertiser: expand(definition.advertiser),
    deployer: expand(definition.deployer),
    notifiers: definition.notifiers.map(expand),
  };
};
