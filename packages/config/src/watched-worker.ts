import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** How much of its own time a thread may take for one task: a thousand times what an honest one takes. */
const DEFAULT_DEADLINE_MS = 5_000;
/** A thread that was not needed for so long is ended. */
const IDLE_MS = 30_000;
/** Time is counted in pieces of this process's own life: a machine that was suspended meanwhile counts as one. */
const TICK_MS = 250;
const MAX_HEAP_MB = 96;

export interface WatchedWorkerOptions {
  /** The module that the threads run: it answers each message with one message, in turn. */
  readonly module: URL;
  /** Milliseconds for one task, from the moment on that a thread has it; default 5 s. */
  readonly deadlineMs?: number;
  /** Threads at a time; default 2, so that one that is stuck leaves another. */
  readonly maxWorkers?: number;
}

/** The thread was ended, because the input took too much time or memory. It will again: do not repeat it. */
export interface BrokenWorker {
  readonly broke: 'time' | 'memory';
}

export interface WatchedWorker {
  /**
   * Gives a task to a thread. Tasks of one `owner` are done one after the other, so one owner holds one thread at most; between owners it is
   * first come, first served.
   *
   * @throws what the signal was aborted with, and Errors of a thread that could not be started or ended by itself: these may pass
   */
  run<Output>(
    input: unknown,
    task: { readonly owner: string; readonly signal: AbortSignal },
  ): Promise<{ readonly output: Output } | BrokenWorker>;
}

interface Thread {
  readonly worker: Worker;
  readonly idle: NodeJS.Timeout;
}

const forget = (worker: Worker): void => {
  // By name: Node has listeners of its own.
  for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
};

/** Does work that its input may make endless in threads that are ended at a deadline: the event loop of this one never waits for it. */
export const createWatchedWorker = ({ module, deadlineMs = DEFAULT_DEADLINE_MS, maxWorkers = 2 }: WatchedWorkerOptions): WatchedWorker => {
  const free: Thread[] = [];
  const waiting: { readonly owner: string; readonly begin: () => void }[] = [];
  const busy = new Set<string>();
  let running = 0;

  const startWorker = async (): Promise<Worker> => {
    const worker = new Worker(module, {
      resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB, maxYoungGenerationSizeMb: 16 },
      // Nothing of this process's secrets.
      env: {},
      execArgv: [],
    });
    try {
      await once(worker, 'online');
    } catch (error) {
      await worker.terminate();
      throw error;
    }
    return worker;
  };

  const takeWorker = async (): Promise<Worker> => {
    const thread = free.pop();
    if (thread === undefined) return startWorker();
    clearTimeout(thread.idle);
    forget(thread.worker);
    thread.worker.ref();
    return thread.worker;
  };

  const keepWorker = (worker: Worker): void => {
    const drop = (): void => {
      const at = free.findIndex((thread) => thread.worker === worker);
      if (at !== -1) free.splice(at, 1);
      void worker.terminate();
    };
    worker.unref();
    worker.once('error', drop);
    worker.once('exit', drop);
    free.push({ worker, idle: setTimeout(drop, IDLE_MS).unref() });
  };

  const perform = async <Output>(input: unknown, signal: AbortSignal): Promise<{ readonly output: Output } | BrokenWorker> => {
    const worker = await takeWorker();
    let ticks = 0;
    let timer: NodeJS.Timeout | undefined;
    let onAbort = (): void => undefined;
    const result = await new Promise<{ readonly output: Output } | BrokenWorker | { readonly failure: unknown }>((resolve) => {
      timer = setInterval(() => {
        ticks += 1;
        if (ticks * TICK_MS >= deadlineMs) resolve({ broke: 'time' });
      }, TICK_MS);
      onAbort = () => resolve({ failure: signal.reason });
      signal.addEventListener('abort', onAbort, { once: true });
      worker.once('message', (output: Output) => resolve({ output }));
      worker.once('error', (error: NodeJS.ErrnoException) =>
        resolve(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? { broke: 'memory' } : { failure: error }),
      );
      worker.once('exit', (code) => resolve({ failure: new Error(`A thread ended with ${code}`) }));
      if (signal.aborted) onAbort();
      else worker.postMessage(input);
    });
    clearInterval(timer);
    signal.removeEventListener('abort', onAbort);
    forget(worker);
    if ('output' in result) {
      keepWorker(worker);
      return result;
    }
    // What it still reports on its way out is not this process's.
    worker.on('error', () => undefined);
    await worker.terminate();
    if ('failure' in result) throw result.failure;
    return result;
  };

  const beginNext = (): void => {
    while (running < maxWorkers) {
      const at = waiting.findIndex(({ owner }) => !busy.has(owner));
      const [next] = at === -1 ? [] : waiting.splice(at, 1);
      if (next === undefined) return;
      running += 1;
      busy.add(next.owner);
      next.begin();
    }
  };

  return {
    run: async (input, { owner, signal }) => {
      await new Promise<void>((resolve) => {
        waiting.push({ owner, begin: resolve });
        beginNext();
      });
      try {
        signal.throwIfAborted();
        return await perform(input, signal);
      } finally {
        running -= 1;
        busy.delete(owner);
        beginNext();
      }
    },
  };
};
