export { checkCommonFormat, findCommonFormat, problemAt, type SlotFormats } from './common-format.js';
export type {
  AppOverrides,
  Config,
  InstanceConfig,
  MinHealthy,
  PipelineConfig,
  PlaceConfig,
  PlacedSlot,
  RingConfig,
  Slot,
  TriggerRule,
  TriggerSlot,
} from './config.js';
export { configJsonSchema } from './config-json-schema.js';
export type { ConfigPath } from './config-path.js';
export type { ConfigProblem } from './config-problem.js';
export { coreConfigSchema, SLOT_KINDS, type SlotKind } from './core-schema.js';
export { parseDurationMs } from './duration.js';
export { formatProblems } from './format-problems.js';
export { type LoadConfigOptions, type LoadConfigResult, loadConfig } from './load-config.js';
export { matchPipeline } from './match-pipeline.js';
export { type BeforePlugin, createPluginLoader, type LoadPlugin } from './plugin-loader.js';
export { parsePlugin } from './plugin-shape.js';
export type { Location } from './problem-report.js';
export {
  type ParsedRepositoryFile,
  parseRepositoryFile,
  type RepositoryFileFacts,
  type RepositoryFileOptions,
  repositoryFileSchema,
} from './repository-file.js';
export type { ReadFile } from './resolve-references.js';
export { compileRule, DEFAULT_BRANCHES, type Rule, type RuleInput, type RuleResult, ruleEventOf, takesRef } from './rule.js';
export type { RuleEvent } from './rule-expression.js';
export type { JsonSchema } from './schema-shape.js';
export { createStrangersYamlParser, MAX_STRANGERS_YAML_BYTES, type ParseStrangersYaml } from './strangers-yaml.js';
