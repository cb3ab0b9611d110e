import { isProcessAlive, readBootId } from './process-identity.js';
import { readEnded, readStarted } from './task-record.js';

export type DetachedState =
  | {
      readonly state: 'running';
      /** Of the runner, which leads the task's session. */
      readonly pid: number;
    }
  | {
      readonly state: 'ended';
      /** 128 + n when signal n ended it. */
      readonly exitCode: number;
      /** Why pipit ended it; absent when it ended by itself. */
      readonly reason?: 'timeLimit' | 'outputLimit' | 'stopped';
    }
  /** Its runner is gone and left no result: killed, or the machine was restarted. */
  | { readonly state: 'lost'; readonly reason: string };

/** What the task of a folder is doing; undefined when none was ever started there. */
export const inspectDetached = async (folder: string): Promise<DetachedState | undefined> => {
  const started = await readStarted(folder);
  if (started === undefined) return undefined;
  const isSameBoot = started.bootId === (await readBootId());
  const isAlive = isSameBoot && (await isProcessAlive(started));
  // Read after the look at the process: a runner that ended in between has written its result before.
  const ended = await readEnded(folder);
  if (ended !== undefined) return { state: 'ended', ...ended };
  if (isAlive) return { state: 'running', pid: started.pid };
  return {
    state: 'lost',
    reason: isSameBoot ? `its runner (process ${started.pid}) was killed` : 'the machine was restarted while it ran',
  };
};
