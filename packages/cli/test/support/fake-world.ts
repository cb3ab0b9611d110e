import { createPluginLoader } from '@pipit/config';
import type { Api } from '@pipit/runtime';
import type { Backend, StopSignal, Terminal, World } from '../../src/world.js';
import { NOW } from './sample-run.js';

export interface FakeWorld {
  readonly world: World;
  readonly out: () => string;
  readonly err: () => string;
  signal(name: StopSignal): void;
  readonly exits: readonly number[];
  readonly umasks: readonly number[];
  /** Folders that became the working folder. */
  readonly entered: readonly string[];
}

const unexpected = (what: string) => (): never => {
  throw new Error(`This test did not expect ${what}`);
};

const createTerminal = (isTerminal: boolean): Terminal & { readonly text: () => string } => {
  const pieces: string[] = [];
  return { isTerminal, isLive: isTerminal, columns: 100, rows: 40, write: (piece) => void pieces.push(piece), text: () => pieces.join('') };
};

export interface FakeWorldOptions {
  readonly folder?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly isTerminal?: boolean;
  /** What a server on the data folder answers; absent: none runs. */
  readonly serverApi?: Api;
  readonly backend?: Partial<Backend>;
  readonly ask?: World['ask'];
}

/** A world without a terminal, a network and a database. */
export const createFakeWorld = (options: FakeWorldOptions = {}): FakeWorld => {
  const { serverApi, isTerminal = false } = options;
  const stdout = createTerminal(isTerminal);
  const stderr = createTerminal(isTerminal);
  const listeners = new Set<(signal: StopSignal) => void>();
  const exits: number[] = [];
  const umasks: number[] = [];
  const entered: string[] = [];
  const world: World = {
    version: '0.0.0-test',
    environment: options.environment ?? { PIPIT_DATA: '/nonexistent/data' },
    folder: options.folder ?? '/nonexistent',
    user: 'ada',
    stdout,
    stderr,
    ...(options.ask === undefined ? {} : { ask: options.ask }),
    now: () => NOW,
    onSignal: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    exitNow: (code) => void exits.push(code),
    setUmask: (mask) => void umasks.push(mask),
    enterEmptyFolder: async (path) => void entered.push(path),
    randomText: (bytes) => 'ab'.repeat(bytes),
    backend: {
      loadPlugin: (beforePlugin) => createPluginLoader({ installationFolder: '/nonexistent', beforePlugin }),
      readOwnToken: async () => undefined,
      findServer: async () => (serverApi === undefined ? undefined : { pid: 1, url: 'http://127.0.0.1:1' }),
      openRuntime: unexpected('a runtime'),
      openServer: unexpected('a server'),
      openWaitingServer: async () => ({ show: async () => undefined, close: async () => undefined }),
      defaultDataFolder: async () => '/nonexistent/data',
      openHttpApi: async () => serverApi ?? unexpected('a server to be asked')(),
      ...options.backend,
    },
  };
  return {
    world,
    out: stdout.text,
    err: stderr.text,
    exits,
    umasks,
    entered,
    signal: (name) => {
      for (const listener of [...listeners]) listener(name);
    },
  };
};
