export { assertNever } from './assert-never.js';
export type { Call, Clock } from './context/call.js';
export type { FileStore } from './context/file-store.js';
export type { Logger } from './context/logger.js';
export type { Op, OperationCall, Services } from './context/operation-call.js';
export type { ConfinedCommand, ConfineOptions, Sandbox, SandboxGap } from './context/sandbox.js';
export type { OutputStream, RunOptions, RunResult, Shell } from './context/shell.js';
export type { Source } from './context/source.js';
export { appNameOf } from './conventions/app-name.js';
export { DEFAULT_BASE_VERSION, packageVersion } from './conventions/package-version.js';
export { isReservedPackageName } from './conventions/reserved-package-names.js';
export { REPOSITORY_FILE, REQUIRED_SCRIPTS, SCRIPTS, unitFilePath } from './conventions/script-names.js';
export { PRODUCTION_RING, ringTag } from './conventions/tags.js';
export type { Advertisement } from './domain/advertisement.js';
export type { Alarm } from './domain/alarm.js';
export type { Artifact, ArtifactId, Release, StoredFile } from './domain/artifact.js';
export type { ChangeEvent, Commit, RepositoryRef } from './domain/change-event.js';
export type { Credentials } from './domain/credentials.js';
export type { HealthCheck } from './domain/health-check.js';
export type { ForeignPackage, Host, HostReport, Labels, Receipt, RingRef } from './domain/host.js';
export type { Format, InstallSource, InstallSources } from './domain/install-source.js';
export type { PackageMetadata } from './domain/package-metadata.js';
export {
  type AppName,
  type Branded,
  type CommitSha,
  type Digest,
  type HostAddress,
  type PackageName,
  type PackageVersion,
  parseAppName,
  parseCommitSha,
  parseDigest,
  parseHostAddress,
  parsePackageName,
  parsePackageVersion,
  parseRefName,
  parseRingName,
  parseRoleName,
  parseUnitName,
  type RefName,
  type RingName,
  type RoleName,
  type UnitName,
} from './identifiers.js';
export type { Json } from './json.js';
export type { Advertiser } from './kinds/advertiser.js';
export type { Balancer } from './kinds/balancer.js';
export type { BuildOutput, BuildRequest, BuildResult, Ci } from './kinds/ci.js';
export type { Deployer, ObserveRequest, RolloutRequest } from './kinds/deployer.js';
export type { Discovery, HostQuery } from './kinds/discovery.js';
export type { Gate, GateRequest, Judgement, Measurement } from './kinds/gate.js';
export type { AuditHead, Notice, NoticeState, Notifier } from './kinds/notifier.js';
export type { PackageRequest, Packager } from './kinds/packager.js';
export type { Repository } from './kinds/repository.js';
export type { Cursor, Handle, Started, Task, TaskState } from './kinds/task.js';
export type { Connection, Transport } from './kinds/transport.js';
export type { Trigger } from './kinds/trigger.js';
export {
  type AnyInstance,
  type AnyPlugin,
  type ChatCommand,
  definePlugin,
  type HealthFinding,
  type HookRequest,
  type Inbound,
  type Instance,
  KIND_VERSIONS,
  type Kind,
  type Kinds,
  type Lifecycle,
  type OptionsOf,
  type Plugin,
  type Provides,
  type Received,
  type Setup,
} from './plugin.js';
export { isPluginError, PluginError, type PluginErrorOptions, type Recovery, recoveryOf } from './plugin-error.js';
export type { OutputOf, Schema } from './schema.js';
export { createSecret, isSecret, type Secret } from './secret.js';
export { requireStorable, storableJson, storableText } from './storable-text.js';
export { explainSystemError, isTransient } from './system-error.js';
