/** Asked of each host after an install, against the host's own address. It passes as soon as one try succeeds before the deadline. */
export type HealthCheck = (
  | { readonly type: 'http'; readonly port: number; readonly path: string }
  | { readonly type: 'tcp'; readonly port: number }
  | { readonly type: 'command'; readonly argv: readonly string[] }
) & {
  /** How long the host has to become healthy, in milliseconds. */
  readonly withinMs: number;
};
