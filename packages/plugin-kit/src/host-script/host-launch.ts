import { type Labels, PluginError } from '@pipit/core';
import { quoteForShell } from '../command/quote-for-shell.js';
import { HOST_SCRIPT } from './host-script-text.js';
import { shortText } from './short-text.js';

/** What `HOST_LAUNCH` said. */
export type HostLaunch =
  | { readonly state: 'started' | 'running' | 'ended'; readonly tries: number }
  /** The host cannot keep the try, because its disk is full or cannot be written. */
  | { readonly state: 'full' }
  /** The host's systemd did not start the try. */
  | { readonly state: 'refused'; readonly said: string };

/**
 * A try as it is kept on the host: its values, quoted, then the script's text that never varies. It removes itself first, for its values may be
 * secrets. In braces, so that a shell does nothing of a part of it: it reads to the closing one first.
 */
export const renderHostTry = (environment: Labels): string => {
  const lines = Object.entries(environment).map(([name, value]) => `export ${name}=${quoteForShell([value])}`);
  return `{\nrm -f -- "$0"\n${lines.join('\n')}\n${HOST_SCRIPT}\nexit\n}\n`;
};

/** @throws PluginError `HOST_LOOK_BROKEN` (reconcile) when it said something else */
export const parseHostLaunch = (text: string): HostLaunch => {
  const [, said] = /^launch refused (.*)\n$/.exec(text) ?? [];
  if (said !== undefined) return { state: 'refused', said: shortText(said) };
  const [, state, tries] = /^launch (started|running|ended|full)(?: (\d+))?\n$/.exec(text) ?? [];
  if (state === 'full') return { state };
  if ((state === 'started' || state === 'running' || state === 'ended') && tries !== undefined) return { state, tries: Number(tries) };
  throw new PluginError({
    code: 'HOST_LOOK_BROKEN',
    message: `A host was told to install, and said something that cannot be read: ${JSON.stringify(text.slice(0, 200))}`,
    hint: 'Look whether flock and systemd-run (or setsid) work on the host.',
    recovery: 'reconcile',
  });
};
