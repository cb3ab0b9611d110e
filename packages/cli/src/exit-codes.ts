/** What the command's exit says; documented in docs/reference/cli.md. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  rolledBack: 3,
  waiting: 4,
  databaseAway: 5,
  interrupted: 130,
  /** What a shell makes of an end by SIGKILL. */
  killed: 137,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
