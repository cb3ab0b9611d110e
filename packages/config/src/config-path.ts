/** Where something stands in the config: keys of mappings and indexes of lists, from the root on. */
export type ConfigPath = readonly (string | number)[];

const PLAIN_KEY = /^[A-Za-z_$][\w$-]*$/;

/** A path for people: `pipelines.web.rings[0].bake`, `plugins["a.b"]`; the root is an empty text. */
export const showPath = (path: ConfigPath): string =>
  path.reduce<string>((shown, part) => {
    if (typeof part === 'number') return `${shown}[${part}]`;
    if (!PLAIN_KEY.test(part)) return `${shown}[${JSON.stringify(part)}]`;
    return shown === '' ? part : `${shown}.${part}`;
  }, '');

/** A text that is the same for equal paths only. */
export const pathKey = (path: ConfigPath): string => JSON.stringify(path);

/** Whether `path` is `ancestor` or lies under it. */
export const isWithin = (path: ConfigPath, ancestor: ConfigPath): boolean =>
  path.length >= ancestor.length && ancestor.every((part, index) => path[index] === part);
