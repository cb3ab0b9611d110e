export type { IdSource, PipelineClock } from './ports/clock.js';
export { type Engine, type EngineContext, type EngineState, type OperationCode, OperationInterrupted } from './ports/engine.js';
export type {
  ChangeToMatch,
  EffectRequest,
  Effects,
  Part,
  PipelineCatalog,
  PipelineDefinition,
  RepositoryFacts,
  Sources,
} from './ports/parts.js';
export type { LogPiece, Query, Records, RecordsReader, RecordsTransaction, StepLogs } from './ports/records.js';
export { type EventId, type OperationId, operationIdOf, type RolloutId, type RunId, rolloutIdOf, runIdOf } from './records/ids.js';
export type {
  AdvertisementRow,
  AppRow,
  AuditRow,
  CleanupRow,
  CursorRow,
  ErrorRecord,
  EventRow,
  HeadRow,
  LockRow,
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
  WaitKind,
} from './records/rows.js';
export { type KeyOf, TABLE_KEYS, type TableName, type Tables } from './records/tables.js';
