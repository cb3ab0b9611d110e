import type * as Rows from './rows.js';

/** Every table by name. */
export interface Tables {
  events: Rows.EventRow;
  runs: Rows.RunRow;
  operations: Rows.OperationRow;
  steps: Rows.StepRow;
  releases: Rows.ReleaseRow;
  rollouts: Rows.RolloutRow;
  rolloutHosts: Rows.RolloutHostRow;
  rings: Rows.RingRow;
  advertisements: Rows.AdvertisementRow;
  promotions: Rows.PromotionRow;
  locks: Rows.LockRow;
  cleanups: Rows.CleanupRow;
  notices: Rows.NoticeRow;
  apps: Rows.AppRow;
  heads: Rows.HeadRow;
  cursors: Rows.CursorRow;
  audit: Rows.AuditRow;
  auditHeads: Rows.AuditHeadRow;
  tokens: Rows.TokenRow;
  settings: Rows.SettingRow;
}

export type TableName = keyof Tables;

/** Primary and unique keys, as data that every implementation of the records obeys. */
export const TABLE_KEYS = {
  events: { primary: ['id'], unique: [['instance', 'key']] },
  runs: { primary: ['id'], unique: [['pushKey'], ['app', 'number']] },
  operations: { primary: ['id'], unique: [] },
  steps: { primary: ['operationId', 'name'], unique: [] },
  releases: { primary: ['app', 'version'], unique: [] },
  rollouts: { primary: ['id'], unique: [['app', 'role', 'ring', 'sequence']] },
  rolloutHosts: { primary: ['rolloutId', 'hostId'], unique: [] },
  rings: { primary: ['app', 'role', 'ring'], unique: [] },
  advertisements: { primary: ['app', 'role', 'ring', 'sequence'], unique: [] },
  promotions: { primary: ['runId', 'ring'], unique: [] },
  locks: { primary: ['name'], unique: [] },
  cleanups: { primary: ['id'], unique: [] },
  notices: { primary: ['runId'], unique: [] },
  apps: { primary: ['app'], unique: [] },
  heads: { primary: ['repositoryId', 'ref'], unique: [] },
  cursors: { primary: ['instance'], unique: [] },
  audit: { primary: ['sequence'], unique: [] },
  auditHeads: { primary: ['sequence'], unique: [] },
  tokens: { primary: ['id'], unique: [['name']] },
  settings: { primary: ['name'], unique: [] },
} as const satisfies { [T in TableName]: { primary: readonly (keyof Tables[T])[]; unique: readonly (readonly (keyof Tables[T])[])[] } };

/** The columns of a table's primary key, with their values. */
export type KeyOf<T extends TableName> = Pick<Tables[T], (typeof TABLE_KEYS)[T]['primary'][number] & keyof Tables[T]>;
