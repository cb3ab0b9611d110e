/** A point that an operation passes. */
export interface StepPoint {
  readonly operationId: string;
  readonly step: string;
  /** `before`: not begun. `begun`: its work runs. `done`: its work has had its effect and is not recorded yet. `after`: recorded (or read back after a restart). */
  readonly phase: 'before' | 'begun' | 'done' | 'after';
}

/** A point that the conductor passes with a run: `decided` before the move is stored, `stored` after. */
export interface MovePoint {
  readonly runId: string;
  readonly move: string;
  /** The stage that the move is about. */
  readonly stage: string;
  readonly phase: 'decided' | 'stored';
}

/** Told of every boundary at which a crash may fall, so that a test can let it fall there. It must not throw. */
export interface PipelineObserver {
  onStep?(point: StepPoint): void;
  onMove?(point: MovePoint): void;
}
