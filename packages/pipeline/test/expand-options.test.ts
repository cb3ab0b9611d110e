import { createSecret, parseAppName } from '@pipit/core';
import { expect, it } from 'vitest';
import { expandOptions } from '../src/index.js';

const app = parseAppName('shop');

it('puts the app into every text of the options, however deep', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the config's own form
  expect(expandOptions({ job: 'a/${app}-build', list: ['${app}', 1], none: null }, app)).toEqual({
    job: 'a/shop-build',
    list: ['shop', 1],
    none: null,
  });
});

it('leaves secrets and objects of classes as they are', () => {
  const token = createSecret('hidden');
  const when = new Date(0);
  const expanded = expandOptions({ token, when }, app) as { token: unknown; when: unknown };
  expect(expanded.token).toBe(token);
  expect(expanded.when).toBe(when);
});
