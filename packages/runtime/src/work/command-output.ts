import type { OutputStream } from '@pipit/core';
import type { Redactor } from '@pipit/plugin-kit';

/** What one command prints. Its two streams alternate, so each is looked through by itself for secrets that come in pieces. */
export interface CommandOutput {
  write(text: string, from?: OutputStream): void;
  end(): void;
}

export type OpenCommandOutput = () => CommandOutput;

/** Gives on what a command prints, without secrets; what may be the beginning of one waits for more, or for the command's end. */
export const openCommandOutput = (redactor: Redactor, show: (text: string) => void): CommandOutput => {
  const streams = { stdout: redactor.stream(), stderr: redactor.stream() };
  const showAny = (text: string): void => {
    if (text !== '') show(text);
  };
  return {
    write: (text, from = 'stdout') => showAny(streams[from].write(text)),
    end: () => {
      for (const stream of Object.values(streams)) showAny(stream.flush());
    },
  };
};
