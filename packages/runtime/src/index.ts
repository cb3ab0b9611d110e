export { readDataFolderOwner as findServer } from '@pipit/engine-dbos';
// For the command, which hides secrets and reads a person's files before there is a runtime.
export { createRedactor, openConfinedFile, readConfinedText } from '@pipit/plugin-kit';
export type {
  Api,
  AppView,
  Change,
  CreatedToken,
  CreateTokenCommand,
  Finding,
  HostView,
  LogQuery,
  LogView,
  OperationView,
  Page,
  PageQuery,
  PlanView,
  PromoteCommand,
  RingView,
  RollbackCommand,
  RolloutView,
  RunDetail,
  StageView,
  TokenView,
} from './api.js';
export { createRuntime, type RuntimeOptions } from './create-runtime.js';
export type { DatabaseAbsence } from './database-watch.js';
export { defaultDataFolder } from './default-data-folder.js';
export { ConfigError, readConfigFile } from './resolve-config.js';
export type { CheckedToken, Health, HookAnswer, Runtime, SubmitRequest } from './runtime.js';
export type { GivenPipeline, GivenPlugin, GivenRing, GivenSlot, InstancesWith, RuntimeConfig } from './runtime-config.js';
export { readOwnToken } from './tokens/token-file.js';
