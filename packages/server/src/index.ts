export { createHttpApi, type HttpApiOptions } from './client/http-api.js';
export type { HttpCallerOptions } from './client/http-call.js';
export { createServer, type Server, type ServerOptions } from './create-server.js';
export type { ErrorBody } from './error-answer.js';
export type { Actor, Refusal, RuntimeMetric, ServedRuntime } from './served-runtime.js';
export { createWaitingServer, type WaitingServer, type WaitingServerOptions } from './waiting-server.js';
