export { type Actor, AUDIT_GENESIS, type AuditEntry, appendAudit, findBrokenAudit, hashAudit, PIPIT_ACTOR } from './audit.js';
export { FIRST_HEAD, hashHead, signedTextOfHead, signedTextOfKey } from './audit-head.js';
export {
  type Authorization,
  authorize,
  type Preset,
  type Scope,
  TOKEN_PRESETS,
  type TokenPreset,
  VERBS,
  type Verb,
} from './authorize.js';
export { type Cancelled, cancel } from './commands/cancel.js';
export type { Asked, CommandPorts } from './commands/command-ports.js';
export { type Promoted, type PromoteRequest, promote } from './commands/promote.js';
export { type Retried, retry } from './commands/retry.js';
export { type RollbackRequest, type RolledBack, rollback } from './commands/rollback.js';
export { type Conductor, type ConductorOptions, type ConductorPorts, createConductor } from './conduct/conductor.js';
export { decide, type Move, type RunView } from './conduct/decide.js';
export { installLockOf, ringLockOf } from './conduct/locks.js';
export {
  fitsHost,
  type HostVerdict,
  judgeRing,
  type ListedHost,
  type RingJudgement,
  type RingToJudge,
  requiredHosts,
} from './guard/judge-ring.js';
export { type GuardVerdict, guardPromotion, type PromotionToGuard } from './guard/promotion-guard.js';
export { planRollback, type RollbackTarget, type RollbackToPlan } from './guard/rollback-target.js';
export { judgeAdvertisement, nextSequence } from './guard/sequence.js';
export { stricterPolicy } from './guard/stricter-policy.js';
export { type BuildHint, createHints, type Hints } from './hints.js';
export { type Accepted, createIntake, type Delivery, type Intake, inboundKeyOf } from './intake/accept-inbound.js';
export { pushKeyOf } from './intake/push-key.js';
export { createMemoryEngine, createMemoryJournal, type MemoryJournal } from './memory/memory-engine.js';
export { createMemoryRecords, type MemoryRecords } from './memory/memory-records.js';
export { createMemoryStepLogs } from './memory/memory-step-logs.js';
export { backoffMs } from './operations/backoff.js';
export { definitionFor, expandOptions } from './operations/expand-options.js';
export { createOperationCodes, OPERATION_VERSIONS } from './operations/operation-codes.js';
export type { OperationPorts } from './operations/operation-ports.js';
export type { IdSource, PipelineClock } from './ports/clock.js';
export { type Engine, type EngineContext, type EngineState, type OperationCode, OperationInterrupted } from './ports/engine.js';
export type { MovePoint, PipelineObserver, StepPoint } from './ports/observer.js';
export type {
  ChangeToMatch,
  EffectRequest,
  Effects,
  Part,
  PipelineCatalog,
  PipelineDefinition,
  RepositoryFacts,
  Sources,
  WorkingPart,
  WorkPlace,
} from './ports/parts.js';
export type {
  EnteredStep,
  LogPiece,
  Query,
  Records,
  RecordsReader,
  RecordsTransaction,
  StepEntry,
  StepLogs,
  TransactionOptions,
} from './ports/records.js';
export { type EventId, type OperationId, operationIdOf, type RolloutId, type RunId, rolloutIdOf, runIdOf } from './records/ids.js';
export type {
  AdvertisementRow,
  AppRow,
  AuditHeadRow,
  AuditRow,
  CleanupRow,
  CursorRow,
  ErrorRecord,
  EventRow,
  HeadRow,
  LockRow,
  NoticeRow,
  OperationRow,
  OperationState,
  OperationType,
  PromotionRow,
  ReleaseRow,
  RingPolicy,
  RingRow,
  RolloutHostRow,
  RolloutHostState,
  RolloutPurpose,
  RolloutRow,
  RolloutState,
  RunKind,
  RunOutcome,
  RunRow,
  SettingRow,
  StepRow,
  TokenRow,
  WaitKind,
} from './records/rows.js';
export { type KeyOf, TABLE_KEYS, type TableName, type Tables } from './records/tables.js';
export { nextStage, planStages, type RunShape, rollbackStage, type Stage } from './stages/plan-stages.js';
