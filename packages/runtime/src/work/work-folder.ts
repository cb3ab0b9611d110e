import { createHash } from 'node:crypto';
import type { Call, Shell } from '@pipit/core';
import type { EffectRequest } from '@pipit/pipeline';
import type { OpenCommandOutput } from './command-output.js';

/** A folder in which one effect works. Its row in the clean-up table is stored before it is made. */
export interface WorkFolder {
  readonly shell: Shell;
  /** Removes the folder and its row. What cannot be removed now stays in the table, for the janitor. */
  remove(): Promise<void>;
  /** Ends the connection; the folder stays. */
  close(): Promise<void>;
}

export interface FolderRequest {
  readonly request: EffectRequest;
  readonly call: Call;
  readonly openOutput: OpenCommandOutput;
}

/** Short and safe for every tool: keys hold colons, and sockets in it must stay under 104 characters. */
export const folderNameOf = ({ key, folder, attempt }: Pick<EffectRequest, 'key' | 'folder' | 'attempt'>): string => {
  const name = createHash('sha256').update(key).digest('hex').slice(0, 20);
  return folder === 'task' ? name : `${name}-${attempt}`;
};
