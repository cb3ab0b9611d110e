import type { Host } from '../domain/host.js';
import type { Call } from './call.js';
import type { FileStore } from './file-store.js';
import type { Shell } from './shell.js';
import type { Source } from './source.js';

/** The context of an effect. */
export interface OperationCall extends Call {
  /** `<operation>:<step>:<try>`. A restart of pipit keeps it; a person's retry raises `<try>`. */
  readonly key: string;
  /** From 1; raised each time this call is made again with the same key. */
  readonly attempt: number;
  /** One line of what is going on, shown live and kept in the step's log. */
  report(progress: { readonly message: string; readonly fraction?: number }): void;
}

/** What a kind may ask for beside the context; each kind's methods name what they get. */
export interface Services {
  readonly shell: Shell;
  readonly source: Source;
  readonly files: FileStore;
  /** Where the outside may tell that something happened; a hint, never a result. */
  readonly callbackUrl: string;
  connect(host: Host): Promise<Shell>;
}

/** The context of an effect, with the services that its kind names. */
export type Op<S extends keyof Services = never> = OperationCall & Pick<Services, S>;
