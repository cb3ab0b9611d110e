import { isSecret, PluginError } from '@pipit/core';
import type { Redactor } from '@pipit/plugin-kit';

/** Fields that are text for people: what is secret in them is hidden when they are stored. Hidden in any other field, it would be another value. */
const FOR_PEOPLE = new Set(['message', 'reason', 'raw', 'detail', 'text', 'hint', 'title', 'description', 'expected', 'stdout', 'stderr']);

/**
 * Refuses what a plugin gave when a registered secret stands in it, in any form: it would be stored and shown, or be wrong once it is hidden.
 *
 * @param from the instance, and what it was doing
 * @throws PluginError `PLUGIN_RETURNED_SECRET` (stop), which names the field and not the value
 */
export const refuseSecrets = (redactor: Redactor, value: unknown, from: string): void => {
  const seen = new Set<object>();
  const refuse = (path: string): never => {
    throw new PluginError({
      code: 'PLUGIN_RETURNED_SECRET',
      message: `${from} returned a secret of the config in ${path === '' ? 'its result' : path.slice(0, 200)}`,
      hint: 'Handles, addresses and results are stored and shown. Configure the plugin so that they hold no secret, or report it to its author.',
      recovery: 'stop',
    });
  };
  const holds = (text: string): boolean => redactor.holdsSecret(text);
  // No recursion: a result may be nested deeper than the stack.
  const left: { readonly each: unknown; readonly path: string }[] = [{ each: value, path: '' }];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const { each, path } = next;
    if (typeof each === 'string' && holds(each)) refuse(path);
    if (typeof each !== 'object' || each === null || isSecret(each) || seen.has(each)) continue;
    seen.add(each);
    for (const [key, inner] of Object.entries(each)) {
      if (holds(key)) refuse(`a key of ${path === '' ? 'its result' : path}`);
      if (typeof inner === 'string' && FOR_PEOPLE.has(key)) continue;
      left.push({ each: inner, path: path === '' ? key : `${path}.${key}` });
    }
  }
};
