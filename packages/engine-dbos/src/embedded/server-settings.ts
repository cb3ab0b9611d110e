import type { AccessFiles } from './access-files.js';

/** Settings of the embedded database: durable as PostgreSQL is by default, and small. */
export const SERVER_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '40',
  shared_buffers: '32MB',
  jit: 'off',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  autovacuum: 'on',
  autovacuum_max_workers: '1',
  autovacuum_worker_slots: '2',
  // Fewer processes: no I/O workers, no replication launcher, no parallel queries.
  io_method: 'sync',
  max_logical_replication_workers: '0',
  max_parallel_workers: '0',
  max_parallel_workers_per_gather: '0',
  max_parallel_maintenance_workers: '0',
  max_worker_processes: '2',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_replication_slots: '0',
  min_wal_size: '32MB',
  max_wal_size: '512MB',
  log_min_messages: 'warning',
  log_checkpoints: 'off',
  log_timezone: 'UTC',
  timezone: 'UTC',
};

/** Arguments that say them on the command line, which beat the cluster's own files. */
export const settingArguments = (socketFolder: string, access: AccessFiles): readonly string[] => [
  '-c',
  // A list of folders, split at commas: quoted, so that a comma in the path is part of it.
  `unix_socket_directories="${socketFolder.replaceAll('"', '""')}"`,
  '-c',
  `hba_file=${access.hba}`,
  '-c',
  `ident_file=${access.ident}`,
  ...Object.entries(SERVER_SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
];
