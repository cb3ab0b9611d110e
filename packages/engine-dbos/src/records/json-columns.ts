import type { TableName } from '@pipit/pipeline';

/** Columns that hold JSON: their values are written as text, since the driver would make PostgreSQL arrays of lists. */
export const JSON_COLUMNS: Readonly<Record<TableName, readonly string[]>> = {
  events: ['body'],
  runs: ['repository', 'rings', 'health', 'metadata', 'completedStages', 'failure'],
  operations: ['input', 'result', 'error'],
  steps: ['error'],
  releases: ['commit', 'artifacts', 'metadata', 'health'],
  rollouts: ['artifacts'],
  rolloutHosts: ['report'],
  rings: [],
  advertisements: ['document'],
  promotions: [],
  locks: [],
  cleanups: [],
  notices: ['handles', 'told'],
  apps: [],
  heads: [],
  cursors: [],
  audit: ['detail'],
  auditHeads: [],
  tokens: [],
  settings: ['value'],
};
