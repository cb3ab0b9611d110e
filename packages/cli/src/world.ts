import type { BeforePlugin, LoadPlugin } from '@pipit/config';
import type { Logger } from '@pipit/core';
import type { Api, DatabaseAbsence, Runtime } from '@pipit/runtime';
import type { LogLevel } from './logger.js';
import type { TextOutput } from './render/live-block.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Terminal extends TextOutput {
  readonly isTerminal: boolean;
}

export type StopSignal = 'SIGINT' | 'SIGTERM';

export interface RuntimeToOpen {
  readonly configFile: string;
  readonly dataFolder: string;
  readonly environment: Environment;
  readonly logLevel: LogLevel;
  /** Called with whole lines of JSON, redacted. */
  readonly writeLog: (line: string) => void;
  /** Awaited before a plugin's code runs. */
  readonly beforePlugin?: BeforePlugin;
  /** Ends the opening. */
  readonly signal?: AbortSignal;
  /** Whether it waits for a database that is away; otherwise it fails at once. */
  readonly waitForDatabase?: boolean;
  /** Called each time that the opening found the database away and goes on waiting. */
  readonly onDatabaseAway?: (absence: DatabaseAbsence) => void;
}

export interface ServerToOpen {
  readonly runtime: Runtime;
  readonly host: string;
  readonly port: number;
  readonly publicUrl?: string;
  readonly hosts?: readonly string[];
  readonly trustedProxies?: readonly string[];
  readonly metricsReaders?: readonly string[];
  readonly publicViews?: readonly ('apps' | 'runs')[];
  readonly logger: Logger;
  readonly version: string;
}

export interface HttpServer {
  /** Answers the address it listens on, for example `http://127.0.0.1:7420`, and says it to the runtime. */
  listen(): Promise<{ readonly url: string }>;
  close(): Promise<void>;
}

export interface WaitingServerToOpen {
  readonly host: string;
  readonly port: number;
  readonly version: string;
}

export interface WaitingServer {
  /** Shows why pipit is not ready; listens from the first time on. */
  show(absence: DatabaseAbsence): Promise<void>;
  /** Gives the port back. */
  close(): Promise<void>;
}

/** What the command is made of: the packages behind it, handed in so that a test can hand in others. */
export interface Backend {
  loadPlugin(beforePlugin: BeforePlugin): LoadPlugin;
  /** Who works on a data folder now; without a url it is not a server, or one that does not listen yet. */
  findServer(dataFolder: string): Promise<{ readonly pid: number; readonly url?: string } | undefined>;
  /** Where data is kept unless anything says otherwise. */
  defaultDataFolder(environment: Environment): Promise<string>;
  /** The token that this user finds in its data folder. */
  readOwnToken(dataFolder: string): Promise<string | undefined>;
  openRuntime(options: RuntimeToOpen): Promise<Runtime>;
  openServer(options: ServerToOpen): Promise<HttpServer>;
  /** Answers the probes while a start waits for its database. */
  openWaitingServer(options: WaitingServerToOpen): Promise<WaitingServer>;
  openHttpApi(options: { readonly url: string; readonly token: string | undefined }): Promise<Api>;
}

/** Everything of the machine that the command touches beside files. */
export interface World {
  readonly version: string;
  readonly environment: Environment;
  /** The working folder, absolute. */
  readonly folder: string;
  /** The user's name on this machine, for the audit trail. */
  readonly user: string;
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  /** Asks a person; an empty answer gives the fallback. Absent where nobody can answer. */
  readonly ask?: (question: string, fallback: string) => Promise<string>;
  now(): Date;
  /** Hears of each signal until the returned function is called. */
  onSignal(listener: (signal: StopSignal) => void): () => void;
  /** Ends the process at once, whatever it does. */
  exitNow(code: number): void;
  /** What new files may not be, unless they are made with a mode of their own: this process's umask, and that of every program it starts. */
  setUmask(mask: number): void;
  /** Makes a folder the working folder of this process, so that `/proc/self/cwd/...` names nothing. It is made when it is missing, and must be empty. */
  enterEmptyFolder(path: string): Promise<void>;
  /** A text of `bytes` random bytes in hexadecimal characters, for a secret. */
  randomText(bytes: number): string;
  readonly backend: Backend;
}
