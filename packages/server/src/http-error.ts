import { PluginError, type PluginErrorOptions } from '@pipit/core';

export interface HttpErrorOptions extends Omit<PluginErrorOptions, 'recovery'> {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An error that the server itself answers with, and so knows the status of. Nothing has happened when it is thrown. */
export class HttpError extends PluginError {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor({ status, headers = {}, ...options }: HttpErrorOptions) {
    super({ ...options, recovery: status === 503 ? 'retry' : 'stop' });
    this.status = status;
    this.headers = headers;
  }
}
