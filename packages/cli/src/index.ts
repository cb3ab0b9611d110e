export { EXIT, type ExitCode } from './exit-codes.js';
export type { TextOutput } from './render/live-block.js';
export { createPaint, type Paint } from './render/paint.js';
export { renderChanges } from './render/render-changes.js';
export { renderFailureLog } from './render/render-failure-log.js';
export { type RenderOptions, renderRun } from './render/render-run.js';
export { exitCodeOf, type RunResult, readRunResult } from './render/run-result.js';
export { type Watched, type WatchOptions, watchRun } from './render/watch-run.js';
